// How the chain and this node do, second by second.

import { get, onBlock } from "./client.js";
import { badge, blockLink, card, clock, el, hash, table, whole } from "./dom.js";
import { bars, leaders, line, points } from "./charts.js";

const SECONDS = 120;
const KEPT = 600;

function tile(name, value, unit, more) {
  return el("div", { class: "card" },
    el("div", { class: "tile-name" }, name),
    el("div", { class: "tile-value" }, value, unit ? el("span", { class: "unit" }, unit) : null),
    el("div", { class: "tile-more" }, more ?? " "));
}

function perSecond(blocks, now) {
  const counts = new Array(SECONDS).fill(0);
  for (const block of blocks) {
    const at = SECONDS - 1 - Math.floor((now - Date.parse(block.time)) / 1000);
    if (at >= 0 && at < SECONDS) counts[at] += block.transactions + block.rejections;
  }
  return counts;
}

/** [seconds ago, height] of the blocks of the last while, and of the one before them. */
function heights(blocks, now) {
  const places = blocks.map((block) => [(now - Date.parse(block.time)) / 1000, block.height]);
  const first = places.findIndex(([ago]) => ago <= SECONDS);
  return [...places.slice(first < 0 ? -1 : Math.max(first - 1, 0)), [0, blocks.at(-1).height]];
}

/** Appends the mean time to finality of the blocks between two answers about the node. */
function measureFinality(means, before, now) {
  const [then, since] = [before?.consensus, now?.consensus];
  const count = since && then ? since.final_blocks - then.final_blocks : 0;
  if (count > 0) means.push((since.finality_ms - then.finality_ms) / count);
  if (means.length > KEPT) means.shift();
}

function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] : null;
}

/** What is wrong with a node, in sentences, the last of which says how far it is; none of one that is ready. */
export function wrong(status) {
  return status.ready ? [] : [...status.reasons, progress(status)];
}

/** Whether the node is ready, as a badge and a sentence: what /readyz says. */
export function health(status) {
  if (!status.ready) return [badge("not ready", "bad"), status.reasons.join(" ")];
  const lag = status.database?.lag_blocks ?? 0;
  return [badge("ready", "good"), lag ? `${whole(lag)} final blocks to execute.` : "The database has every final block."];
}

function tiles(status, blocks, ages, finality) {
  const [word, why] = status.ready ? health(status) : [badge("not ready", "bad"), progress(status)];
  const counts = perSecond(blocks, Date.now());
  const recent = counts.slice(-11, -1);
  const database = status.database;
  return [
    tile("This node", word, "", why),
    tile("Height", whole(database?.height), "blocks", database ? `final: ${whole(database.final_height)}, view ${whole(status.consensus?.view)}` : null),
    tile("Throughput", whole(Math.round(recent.reduce((a, b) => a + b, 0) / recent.length)), "tx/s", "over the last 10 s"),
    tile("Finality", finality.length ? whole(Math.round(finality.at(-1))) : "–", finality.length ? "ms" : "", "mean of the last 2 s, from proposal"),
    tile("Proposal to SQL", ages.length ? whole(quantile(ages, 0.5)) : "–", ages.length ? "ms" : "", ages.length ? `99 of 100 within ${whole(quantile(ages, 0.99))} ms` : ""),
    tile("Certified state", whole(database?.certified_height), "height", "the newest certified checkpoint"),
  ];
}

const BLOCKS = [
  { label: "Height", number: true, cell: (b) => blockLink(b.height) },
  { label: "Time", cell: (b) => clock(b.time) },
  { label: "Transactions", number: true, cell: (b) => whole(b.transactions) },
  { label: "Rejected", number: true, cell: (b) => whole(b.rejections) },
  { label: "Digest", cell: (b) => hash(b.digest, `#/block/${b.height}`) },
];

function committee(members, blocks) {
  const total = members.reduce((sum, each) => sum + each.blocks, 0) || 1;
  return table([
    { label: "Validator", cell: (m) => el("span", {}, el("span", { class: `key c${m.index % 8}` }), m.name) },
    { label: "Led", number: true, cell: (m) => `${Math.round((100 * m.blocks) / total)} %` },
    { label: "Missed votes", number: true, cell: (m) => whole(m.missed_votes) },
    { label: "Failed views", number: true, cell: (m) => whole(m.nullified_views) },
    { label: "State", cell: (m) => state(m) },
  ], members);
}

/** The age of the last final block, and what waits. */
export function progress(status) {
  const age = status.final_age_ms === null ? "No final block yet" : `Last final block ${whole(Math.round(status.final_age_ms / 1000))} s ago`;
  return `${age}, ${waiting(status.waiting_records)}.`;
}

function waiting(records) {
  if (records === null) return "how many records wait is not known";
  return records === 1 ? "1 record waits" : `${whole(records)} records wait`;
}

/** Whether a validator is heard. */
export function state(member) {
  if (member.is_this_node) return badge("this node", "good");
  if (!member.is_heard) return badge("silent", "bad");
  if (member.behind_views === null) return badge("heard", "good");
  return member.behind_views > 20 ? badge(`silent for ${whole(member.behind_views)} views`, "bad") : badge("heard", "good");
}

/** The page; its answer ends it. */
export async function overview(into) {
  let [status, { items: members }, { items }] = await Promise.all([
    get("/status"), get("/validators"), get("/blocks", { limit: KEPT }),
  ]);
  const blocks = items.reverse();
  const ages = [];
  const finality = [];
  const parts = { tiles: el("div", { class: "tiles" }), throughput: el("div"), height: el("div"),
    finality: el("div"), ages: el("div"), leaders: el("div"),
    committee: el("div"), blocks: el("div") };
  into.replaceChildren(el("h1", { class: "hidden" }, "Overview"), parts.tiles,
    el("div", { class: "pair" },
      card("Height", parts.height), card("Transactions a second", parts.throughput)),
    el("div", { class: "pair" },
      card("Time to finality", parts.finality), card("From proposal to SQL", parts.ages)),
    el("div", { class: "pair" },
      card("Who led the last blocks", parts.leaders, parts.committee), card("Newest blocks", parts.blocks)));

  const draw = () => {
    parts.tiles.replaceChildren(...tiles(status, blocks, ages, finality));
    parts.throughput.replaceChildren(bars(perSecond(blocks, Date.now()), "Transactions a second", "tx/s", `${SECONDS} s`));
    parts.height.replaceChildren(blocks.length
      ? line(heights(blocks, Date.now()), "Height", "blocks", SECONDS) : el("p", { class: "empty" }, "No block yet."));
    parts.finality.replaceChildren(finality.length
      ? points(finality.slice(-120), "Time to finality", "ms", `${2 * Math.min(finality.length, 120)} s`)
      : el("p", { class: "empty" }, "Measured from the next blocks on."));
    parts.ages.replaceChildren(ages.length
      ? points(ages.slice(-120), "From proposal to SQL", "ms", `${Math.min(ages.length, 120)} blocks`)
      : el("p", { class: "empty" }, "Measured from the next block on."));
    parts.leaders.replaceChildren(leaders(blocks.slice(-120), members.map((each) => each.name)));
    parts.committee.replaceChildren(committee(members), el("p", { class: "tile-more" },
      "A hollow square is a view without a new block: it failed, or it made the block before it final. The table counts those that failed."));
    parts.blocks.replaceChildren(table(BLOCKS, blocks.slice(-8).reverse()));
  };
  draw();
  const stopHearing = onBlock((block) => {
    if (blocks.length && block.height <= blocks.at(-1).height) return;
    blocks.push(block);
    ages.push(Math.max(block.age_ms, 0));
    if (blocks.length > 4 * KEPT) blocks.splice(0, KEPT);
    if (ages.length > KEPT) ages.splice(0, ages.length - KEPT);
  });
  const drawing = setInterval(draw, 500);
  const asking = setInterval(async () => {
    try {
      const before = status;
      // Alone: it is answered while the database is away, and who led is not.
      status = await get("/status");
      measureFinality(finality, before, status);
      ({ items: members } = await get("/validators"));
    } catch {
      return; // what is wrong stands above
    }
  }, 2000);
  return () => { stopHearing(); clearInterval(drawing); clearInterval(asking); };
}
