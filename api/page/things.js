// One block, transaction, address, object or asset.

import { find, get, onBlock } from "./client.js";
import {
  addressHash, assetHash, badge, blockLink, bytes, card, decimal, el, facts, hash, objectHash, table, transactionHash,
  when, whole,
} from "./dom.js";
import { BY_ID, COLUMNS, list, proposer } from "./lists.js";

function absent(into, what, id) {
  into.replaceChildren(el("h1", {}, `No such ${what}`), card("Not here", el("p", {},
    `This node has no ${what} ${id}. It may not be executed yet, or its history is pruned.`)));
  return () => {};
}

export async function nowhere(into) {
  into.replaceChildren(el("h1", {}, "No such page"), card("Not here", el("p", {}, "The menu has all that there are.")));
  return () => {};
}

/** A link to a block; null where this node has none of that height. */
async function linked(height) {
  return height > 0 && await find(`/blocks/${height}`) ? blockLink(height) : null;
}

async function together(...lists) {
  const ends = await Promise.all(lists);
  return () => ends.forEach((end) => end());
}

export async function block(into, height) {
  const found = /^[0-9]{1,18}$/.test(height) ? await find(`/blocks/${height}`) : null;
  if (!found) return absent(into, "block", height);
  const [before, after] = await Promise.all([found.height - 1, found.height + 1].map(linked));
  const [executed, rejected, next] = [el("div"), el("div"), el("span", {}, after ?? "not yet")];
  const end = onBlock((block) => block.height === found.height + 1 && next.replaceChildren(blockLink(block.height)));
  into.replaceChildren(el("h1", {}, `Block ${whole(found.height)}`),
    card("Header", facts([
      ["Digest", hash(found.digest, null, true)],
      ["Before it", el("span", {}, found.height > 1 ? before ?? "pruned" : "genesis", " ",
        hash(found.parent_digest, before ? `#/block/${found.height - 1}` : null))],
      ["After it", next],
      ["Time", when(found.time)],
      ["Proposed by", proposer(found)],
      ["View", whole(found.view)],
      ["Records of the log", whole(found.records)],
      ["Executed", `${whole(found.transactions)} transactions, ${whole(found.transfers)} transfers`],
      ["Rejected", whole(found.rejections)],
    ])),
    card("Log heads", table([
      { label: "Partition", number: true, cell: (h) => whole(h.partition) },
      { label: "Incarnation", number: true, cell: (h) => whole(h.incarnation) },
      { label: "End offset", number: true, cell: (h) => whole(h.end_offset) },
      { label: "Chain digest", cell: (h) => hash(h.chain_digest) },
    ], found.heads)),
    card("Executed", executed), card("Rejected", rejected));
  const parameters = { height: found.height, order: "oldest" };
  return together(end,
    list(executed, "/transactions", COLUMNS.transactions, { parameters, empty: "No transaction executed." }),
    list(rejected, "/rejections", COLUMNS.rejections, { parameters, empty: "Nothing was rejected." }));
}

const STATES = { executed: "good", rejected: "bad", failed: "bad" };

export async function transaction(into, digest) {
  const found = /^[0-9a-f]{64}$/.test(digest) ? await find(`/transactions/${digest}`) : null;
  if (!found) return absent(into, "transaction", digest);
  const { executed, rejected } = found;
  into.replaceChildren(el("h1", {}, "Transaction"),
    card("What became of it", facts([
      ["State", badge(found.state, STATES[found.state] ?? "warn")],
      ["Digest", hash(found.digest, null, true)],
      ...(rejected ? [["Why", rejected.sentence ?? `code ${rejected.code}`]] : []),
      ...(found.state === "pending" ? [["May execute", "another record of it, until it expires"]] : []),
      ...(found.detail ? [["More", found.detail]] : []),
      ["Block", found.height ? blockLink(found.height) : "not yet"],
      ["Time", executed || rejected ? when((executed ?? rejected).time) : "–"],
      ["Signer", addressHash((executed ?? rejected)?.signer, true)],
      ["Reference", (executed ?? rejected)?.reference || "none"],
      ["Place in the log", found.partition === null ? "–" : `partition ${found.partition}, offset ${whole(found.offset)}`],
    ])),
    card("Transfers", table(COLUMNS.transfers, found.transfers, "It moved nothing."),
      found.transfers_left_out ? el("p", {}, "There are more; the block has them all.") : ""),
    card("Objects", table(COLUMNS.changes, found.objects, "It wrote no object.")));
  return () => {};
}

export async function address(into, id) {
  const [balances, transfers, signed] = [el("div"), el("div"), el("div")];
  into.replaceChildren(el("h1", {}, "Address"),
    card("Who", facts([["Address", hash(id, null, true)]])),
    card("Balances", balances), card("Statement", transfers), card("Transactions it signed", signed));
  return together(
    list(balances, `/addresses/${id}/balances`, COLUMNS.balances, { live: true, empty: "It holds nothing.", words: BY_ID }),
    list(transfers, `/addresses/${id}/transfers`, COLUMNS.transfers, { live: true, empty: "Nothing moved." }),
    list(signed, "/transactions", COLUMNS.transactions, { parameters: { signer: id }, live: true, empty: "It signed nothing." }));
}

function content(object) {
  if (object.content === null) return el("pre", {}, `hex ${object.content_bytes}`);
  try {
    return el("pre", {}, JSON.stringify(JSON.parse(object.content), null, 2));
  } catch {
    return el("pre", {}, object.content);
  }
}

export async function object(into, id) {
  const found = await find(`/objects/${id}`);
  const versions = el("div");
  into.replaceChildren(el("h1", {}, "Object"),
    card("Now", ...(found ? [facts([
      ["Id", hash(found.object, null, true)],
      ["Version", whole(found.version)],
      ["Ownership", found.ownership],
      ["Owner", found.owner ? addressHash(found.owner, true) : "–"],
      ["Writers", found.writers.length ? el("span", {}, ...found.writers.map((each) => addressHash(each))) : "–"],
      ["Type", found.type],
      ["Media type", `${found.media_type}, ${bytes(found.content_bytes.length / 2)}`],
    ]), content(found)] : [el("p", {}, "There is no such object now.")])),
    card("History", versions));
  return list(versions, `/objects/${id}/history`, COLUMNS.versions, { live: true, empty: "There never was one." });
}

export async function asset(into, id) {
  const found = await find(`/assets/${id}`);
  if (!found) return absent(into, "asset", id);
  const [holders, transfers] = [el("div"), el("div")];
  into.replaceChildren(el("h1", {}, `Asset ${found.name}`),
    card("Now", facts([
      ["Id", hash(found.asset, null, true)],
      ["Supply", decimal(found.decimal_supply)],
      ["Decimals", whole(found.decimals)],
      ["Issuer", addressHash(found.issuer, true)],
    ])),
    card("Who holds it, by address", holders), card("Transfers", transfers));
  return together(
    list(holders, "/balances", COLUMNS.holders, { parameters: { asset: id }, live: true, empty: "Nobody.", words: BY_ID }),
    list(transfers, "/transfers", COLUMNS.transfers, { parameters: { asset: id }, live: true }));
}

/** What a height, digest, address or id stands for, as an address of this page; null: nothing. */
export async function lookUp(wanted) {
  if (/^[0-9]{1,18}$/.test(wanted)) return `#/block/${wanted}`;
  if (!/^[0-9a-f]{64}$/.test(wanted)) return null;
  const { kinds } = await get(`/lookup/${wanted}`);
  return `#/${kinds[0] ?? "address"}/${wanted}`;
}
