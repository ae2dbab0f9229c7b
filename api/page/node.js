// The committee and this node: validators, health, drills, evidence, peers.

import { get } from "./client.js";
import { badge, blockLink, bytes, card, el, facts, hash, table, when, whole } from "./dom.js";
import { health, progress, state } from "./overview.js";

function refreshed(into, draw, everyMs = 2000) {
  const asking = setInterval(() => draw().catch(() => {}), everyMs);
  return draw().then(() => () => clearInterval(asking));
}

export async function validators(into) {
  const body = el("div");
  into.replaceChildren(el("h1", {}, "Validators"), card("The committee", body));
  return refreshed(into, async () => {
    const { items } = await get("/validators");
    const total = items.reduce((sum, each) => sum + each.power, 0);
    body.replaceChildren(table([
      { label: "Validator", cell: (m) => el("span", {}, el("span", { class: `key c${m.index % 8}` }), m.name) },
      { label: "Power", number: true, cell: (m) => `${whole(m.power)} (${Math.round((100 * m.power) / total)} %)` },
      { label: "Blocks of the last 1,000", number: true, cell: (m) => whole(m.blocks) },
      { label: "Missed votes", number: true, cell: (m) => whole(m.missed_votes) },
      { label: "Failed views", number: true, cell: (m) => whole(m.nullified_views) },
      { label: "State", cell: (m) => state(m) },
      { label: "Consensus key", cell: (m) => hash(m.consensus_key, "#/peers") },
      { label: "Operator", cell: (m) => hash(m.operator_address, `#/address/${m.operator_address}`) },
    ], items),
    el("p", { class: "tile-more" }, "Votes and views: as this node has seen them since its order process started."));
  });
}

export async function node(into) {
  const body = el("div");
  into.replaceChildren(el("h1", {}, "This node"), body);
  return refreshed(into, async () => {
    const [status, heads] = await Promise.all([get("/status"), get("/heads").catch(() => null)]);
    const [word, why] = health(status);
    body.replaceChildren(
      card("Health", facts([
        ["State", el("span", {}, word, " ", why)],
        ["Progress", progress(status)],
        ["Validator", status.validator],
        ["Chain", status.chain],
        ["Genesis", hash(status.genesis_digest, null, true)],
        ["Version", `${status.version}, protocol ${status.protocol_version}, log on ${status.log}`],
        ["Height in SQL", status.database ? blockLink(status.database.height) : "–"],
        ["Final height", status.database ? blockLink(status.database.final_height) : "–"],
        ["Certified state", status.database?.certified_height ? blockLink(status.database.certified_height) : "none yet"],
        ["History", status.database ? `of all blocks above ${whole(status.database.history_floor)}` : "–"],
        ["Finality", status.consensus ? `${within(status.consensus.finality_p50_ms)} for half, ${within(status.consensus.finality_p99_ms)} for 99 of 100 blocks` : "–"],
      ])),
      card("Processes", table([
        { label: "Process", cell: (p) => p.name },
        { label: "State", cell: (p) => badge(p.state, p.is_alive ? "good" : p.state === "stopped" ? "" : "bad") },
        { label: "Since", cell: (p) => when(p.since_ms) },
      ], status.processes)),
      card("Log heads", heads ? table([
        { label: "Partition", number: true, cell: (h) => whole(h.partition) },
        { label: "Incarnation", number: true, cell: (h) => whole(h.incarnation) },
        { label: "End offset", number: true, cell: (h) => whole(h.end_offset) },
        { label: "Chain digest", cell: (h) => hash(h.chain_digest) },
      ], heads.items) : el("p", { class: "empty" }, "The database does not answer.")));
  });
}

export async function peers(into) {
  const body = el("div");
  into.replaceChildren(el("h1", {}, "Peers"), card("Nodes, as they announce themselves", body));
  return refreshed(into, async () => {
    const { items } = await get("/peers");
    body.replaceChildren(table(PEERS, items, "No node was heard."), el("p", { class: "tile-more" },
      "Each node's own word, signed by its validator's key, and not proven."));
  });
}

const PEERS = [
  { label: "Validator", cell: (p) => el("span", {}, p.validator, p.is_self ? el("span", { class: "unit" }, "this node") : null,
    el("div", { class: "tile-more" }, p.roles?.join(", ") ?? "")) },
  { label: "Announcement", cell: (p) => badge(p.state, p.state === "fresh" ? "good" : "warn") },
  { label: "Height", number: true, cell: (p) => whole(p.height) },
  { label: "Behind", number: true, cell: (p) => (p.behind_blocks === null ? "–" : `${whole(p.behind_blocks)} blocks`) },
  { label: "Heard", number: true, cell: (p) => (p.age_ms === null ? "–" : `${Math.round(p.age_ms / 1000)} s ago`) },
  { label: "Expires", number: true, cell: (p) => lifetime(p) },
  { label: "Version", cell: (p) => p.version ?? "–" },
  { label: "Answers at", cell: (p) => answersAt(p) },
  { label: "Key", cell: (p) => hash(p.public_key, "#/validators") },
];

/** Addresses are what the peer says: shown, and not linked. */
function answersAt(peer) {
  const offers = [["API", peer.api_address], ["records", peer.sync_address]].filter(([, address]) => address);
  return offers.length ? offers.map(([what, address]) => el("div", {}, el("span", { class: "tile-more" }, what), ` ${address}`)) : "–";
}

function lifetime(peer) {
  if (peer.age_ms === null || peer.valid_for_ms === null) return "–";
  const left = Math.round((peer.valid_for_ms - peer.age_ms) / 1000);
  return left > 0 ? `in ${left} s` : `${-left} s ago`;
}

const within = (ms) => (ms === null ? "–" : `at most ${whole(Math.round(ms))} ms`);

const VERDICTS = { passed: "good", healed: "good", detected: "good", failed: "bad" };

export async function drills(into) {
  const { items } = await get("/drills", { limit: 100 });
  const longest = Math.max(...items.map((each) => Number(each.seconds ?? 0)), 0.001);
  into.replaceChildren(el("h1", {}, "Drills"),
    card("Recoveries that this node has rehearsed", table([
      { label: "Drill", number: true, cell: (d) => el("a", { href: `#/drill/${d.drill}` }, whole(d.drill)) },
      { label: "When", cell: (d) => when(d.started_at) },
      { label: "Verdict", cell: (d) => badge(d.verdict, VERDICTS[d.verdict] ?? "warn") },
      { label: "Damage", cell: (d) => d.injected ?? "none" },
      { label: "Recovered from", cell: (d) => d.source ?? "–" },
      { label: "Height", number: true, cell: (d) => (d.height === null ? "–" : blockLink(d.height)) },
      { label: "Records", number: true, cell: (d) => whole(d.records) },
      { label: "Time", number: true, cell: (d) => (d.seconds === null ? "–" : `${Number(d.seconds).toFixed(1)} s`) },
      { label: "", cell: (d) => meter(Number(d.seconds ?? 0), longest) },
      { label: "Records/s", number: true, cell: (d) => (d.records_per_s === null ? "–" : whole(Math.round(Number(d.records_per_s)))) },
    ], items, "No drill yet: `momus drill` runs one; with `drills.every_ms` the node runs them on schedule.")));
  return () => {};
}

/** One drill: what was damaged, how it recovered, and how long that took. */
export async function drill(into, number) {
  const cursor = /^[0-9]{1,15}$/.test(number) ? Number(number) + 1 : 0;
  const { items: [found] } = await get("/drills", { limit: 1, cursor });
  if (!found || String(found.drill) !== number) {
    into.replaceChildren(el("h1", {}, "No such drill"), card("Not here", el("p", {}, `This node has run no drill ${number}.`)));
    return () => {};
  }
  const { report } = found;
  into.replaceChildren(el("h1", {}, `Drill ${whole(found.drill)}`),
    card("What it showed", facts([
      ["Verdict", badge(found.verdict, VERDICTS[found.verdict] ?? "warn")],
      ["Started", when(found.started_at)],
      ["Damage done first", found.injected ?? "none"],
      ["Recovered from", found.source ?? "nothing"],
      ["Began above", report.above ? `snapshot of height ${whole(report.above)}` : "genesis"],
      ["Came to", found.height === null ? "–" : blockLink(found.height)],
      ["Certified state root", { true: "the same", false: "another" }[report.is_root_certified] ?? "none to compare with"],
      ["Records executed", whole(found.records)],
      ["Recovery time", found.seconds === null ? "–" : `${Number(found.seconds).toFixed(2)} s`],
      ["Rate", found.records_per_s === null ? "–" : `${whole(Math.round(Number(found.records_per_s)))} records/s`],
      ["Rows compared", whole(report.rows_compared)],
    ])),
    card("What the damage made it say", said(report.detected, "Nothing: it met no damage.")),
    card("Tables that differ", said(report.differing, "None: every row is the live one's.")));
  return () => {};
}

const said = (sentences, empty) => (sentences?.length
  ? el("ul", {}, ...sentences.map((each) => el("li", {}, each))) : el("p", { class: "empty" }, empty));

function meter(value, max) {
  return el("meter", { min: 0, max, value, "aria-label": `${value.toFixed(1)} s of at most ${max.toFixed(1)} s` });
}

export async function evidence(into) {
  const { items } = await get("/evidence");
  const shown = el("div");
  const show = async (name) => {
    const document = await get(`/evidence/${name}`);
    shown.replaceChildren(card(name, el("pre", { tabindex: 0 }, JSON.stringify(document, null, 2))));
    shown.scrollIntoView({ block: "nearest" });
  };
  into.replaceChildren(el("h1", {}, "Evidence"),
    card("Signed messages that speak against a validator", table([
      { label: "What", cell: (e) => badge(e.what.replaceAll("_", " "), "bad") },
      { label: "Kept", cell: (e) => when(e.kept_at_ms) },
      { label: "Size", number: true, cell: (e) => bytes(e.size_bytes) },
      { label: "File", words: true, cell: (e) => el("button", { type: "button", click: () => show(e.name) }, e.name) },
    ], items, "None: nobody has contradicted himself.")), shown);
  return () => {};
}
