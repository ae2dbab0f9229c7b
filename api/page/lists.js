// Lists in pages, which follow the chain while their first page is shown.

import { committee, get, onBlock } from "./client.js";
import {
  addressHash, assetHash, badge, blockLink, card, decimal, el, hash, objectHash, table, transactionHash, when, whole,
} from "./dom.js";

export const COLUMNS = {
  blocks: [
    { label: "Height", number: true, cell: (b) => blockLink(b.height) },
    { label: "Time", cell: (b) => when(b.time) },
    { label: "Proposer", cell: (b) => proposer(b) },
    { label: "View", number: true, cell: (b) => whole(b.view) },
    { label: "Records", number: true, cell: (b) => whole(b.records) },
    { label: "Executed", number: true, cell: (b) => whole(b.transactions) },
    { label: "Rejected", number: true, cell: (b) => whole(b.rejections) },
    { label: "Digest", cell: (b) => hash(b.digest, `#/block/${b.height}`) },
  ],
  transactions: [
    { label: "Digest", cell: (t) => transactionHash(t.digest) },
    { label: "Block", number: true, cell: (t) => blockLink(t.height) },
    { label: "Time", cell: (t) => when(t.time) },
    { label: "Signer", cell: (t) => addressHash(t.signer) },
    { label: "Commands", number: true, cell: (t) => whole(t.commands) },
    { label: "Reference", words: true, cell: (t) => t.reference || "" },
  ],
  rejections: [
    { label: "Digest", cell: (t) => transactionHash(t.digest) },
    { label: "Block", number: true, cell: (t) => blockLink(t.height) },
    { label: "Time", cell: (t) => when(t.time) },
    { label: "Why", words: true, cell: (t) => t.sentence ?? `code ${t.code}` },
    { label: "Signer", cell: (t) => addressHash(t.signer) },
  ],
  transfers: [
    { label: "Block", number: true, cell: (t) => blockLink(t.height) },
    { label: "Time", cell: (t) => when(t.time) },
    { label: "From", cell: (t) => (t.kind === "mint" ? badge("mint") : addressHash(t.sender)) },
    { label: "To", cell: (t) => (t.kind === "burn" ? badge("burn") : addressHash(t.recipient)) },
    { label: "Amount", number: true, cell: (t) => decimal(t.decimal_amount ?? t.amount) },
    { label: "Asset", cell: (t) => assetHash(t.asset) },
  ],
  assets: [
    { label: "Name", words: true, cell: (a) => a.name },
    { label: "Supply", number: true, cell: (a) => decimal(a.decimal_supply) },
    { label: "Decimals", number: true, cell: (a) => whole(a.decimals) },
    { label: "Issuer", cell: (a) => addressHash(a.issuer) },
    { label: "Id", cell: (a) => assetHash(a.asset) },
  ],
  objects: [
    { label: "Object", cell: (o) => objectHash(o.object) },
    { label: "Type", words: true, cell: (o) => o.type },
    { label: "Media type", words: true, cell: (o) => o.media_type },
    { label: "Version", number: true, cell: (o) => whole(o.version) },
    { label: "Owner", cell: (o) => (o.owner ? addressHash(o.owner) : o.ownership) },
  ],
  writes: [
    { label: "Block", number: true, cell: (w) => blockLink(w.height) },
    { label: "Time", cell: (w) => when(w.time) },
    { label: "Object", cell: (w) => objectHash(w.object) },
    { label: "Version", number: true, cell: (w) => whole(w.version) },
    { label: "Type", words: true, cell: (w) => w.type },
    { label: "Owner", cell: (w) => (w.owner ? addressHash(w.owner) : w.ownership) },
    { label: "", cell: (w) => (w.deleted ? badge("deleted", "bad") : w.version === 1 ? badge("made", "good") : badge("changed")) },
  ],
  holders: [
    { label: "Address", cell: (b) => addressHash(b.address) },
    { label: "Asset", words: true, cell: (b) => b.asset_name ?? "" },
    { label: "Amount", number: true, cell: (b) => decimal(b.decimal_amount ?? b.amount) },
    { label: "Asset id", cell: (b) => assetHash(b.asset) },
  ],
  balances: [
    { label: "Asset", words: true, cell: (b) => b.asset_name ?? "" },
    { label: "Amount", number: true, cell: (b) => decimal(b.decimal_amount ?? b.amount) },
    { label: "Id", cell: (b) => assetHash(b.asset) },
  ],
  checkpoints: [
    { label: "Height", number: true, cell: (c) => blockLink(c.height) },
    { label: "Time", cell: (c) => when(c.time) },
    { label: "State root", cell: (c) => hash(c.state_root, `#/block/${c.height}`) },
    { label: "Digest", cell: (c) => hash(c.digest, `#/block/${c.height}`) },
    { label: "", cell: (c) => (c.certified ? badge("certified", "good") : badge("waiting for signatures", "warn")) },
  ],
  versions: [
    { label: "Version", number: true, cell: (v) => whole(v.version) },
    { label: "Block", number: true, cell: (v) => blockLink(v.height) },
    { label: "Time", cell: (v) => when(v.time) },
    { label: "Owner", cell: (v) => (v.owner ? addressHash(v.owner) : v.ownership) },
    { label: "Content", words: true, cell: (v) => (v.deleted ? badge("deleted", "bad") : short(v)) },
  ],
  changes: [
    { label: "Object", cell: (o) => objectHash(o.object) },
    { label: "Version", number: true, cell: (o) => whole(o.version) },
    { label: "Ownership", cell: (o) => o.ownership },
    { label: "", cell: (o) => (o.deleted ? badge("deleted", "bad") : "") },
  ],
};

/** Name and colour of a block's proposer. */
export function proposer(block) {
  const name = committee[block.proposer]?.name ?? `validator ${block.proposer}`;
  return el("span", {}, el("span", { class: `key c${block.proposer % 8}` }), name);
}

function short(object) {
  const text = object.content ?? `hex ${object.content_bytes}`;
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

const BY_AGE = ["Newest", "Older"];
/** Of lists that an id orders. */
export const BY_ID = ["First", "More"];

/** A list of a path in pages. `live`: its first page is asked for again when there are new blocks. The answer ends it. */
export async function list(into, path, columns, { parameters = {}, live = false, empty, words = BY_AGE } = {}) {
  const rows = el("div");
  const newer = el("button", { type: "button" }, words[0]);
  const older = el("button", { type: "button" }, words[1]);
  const cursors = [null];
  let next = null;
  const pages = el("div", { class: "pages" }, newer, older);
  const show = async () => {
    const page = await get(path, { ...parameters, limit: 25, cursor: cursors.at(-1) });
    next = page.next;
    older.disabled = next === null;
    newer.disabled = cursors.length === 1;
    pages.hidden = older.disabled && newer.disabled;
    rows.replaceChildren(table(columns, page.items, empty));
  };
  older.addEventListener("click", () => { cursors.push(next); show(); });
  newer.addEventListener("click", () => { cursors.length = 1; show(); });
  into.replaceChildren(rows, pages);
  await show();
  if (!live) return () => {};
  let isDue = false;
  const stopHearing = onBlock(() => { isDue = cursors.length === 1; });
  const asking = setInterval(() => {
    if (!isDue || rows.contains(document.activeElement)) return;
    isDue = false;
    show().catch(() => { isDue = true; });
  }, 1000);
  return () => { stopHearing(); clearInterval(asking); };
}

/** A page that is one list. */
export function listPage(title, path, columns, options = {}) {
  return async (into) => {
    const body = el("div");
    into.replaceChildren(el("h1", {}, title), options.tabs ? options.tabs() : "", card(options.caption ?? title, body));
    return list(body, path, columns, { live: true, ...options });
  };
}
