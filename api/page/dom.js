// Elements, made of text only: whatever somebody wrote into the ledger is never read as markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element. Attributes whose value is a function listen to the event of that name; children are nodes or text. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** A hash that is linked (if `href`) and copied; shortened unless `whole`. */
export function hash(value, href = null, whole = false) {
  if (!value) return el("span", { class: "empty" }, "none");
  const text = whole ? value : `${value.slice(0, 8)}…${value.slice(-6)}`;
  const shown = href ? el("a", { href, title: value }, text) : el("span", { title: value }, text);
  return el("span", { class: whole ? "hash whole" : "hash" }, shown, copyButton(value));
}

function copyButton(value) {
  const button = el("button", { class: "copy", type: "button", "aria-label": `Copy ${value.slice(0, 8)}…` }, copyIcon());
  button.addEventListener("click", async () => {
    await copy(value);
    button.replaceChildren("copied");
    setTimeout(() => button.replaceChildren(copyIcon()), 1200);
  });
  return button;
}

/** Two sheets: drawn, since not every font has them. */
function copyIcon() {
  const sheet = (x, y) => svg("rect", { x, y, width: 9, height: 10, rx: 2, fill: "none", stroke: "currentColor", "stroke-width": 1.4 });
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, sheet(2, 2), sheet(5, 5));
}

async function copy(value) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(value);
    return;
  }
  // Browsers give the clipboard to secure origins only; a node in a local network has none.
  const area = el("textarea", {}, value);
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export const transactionHash = (digest, whole) => hash(digest, digest && `#/transaction/${digest}`, whole);
export const addressHash = (address, whole) => hash(address, address && `#/address/${address}`, whole);
export const objectHash = (object, whole) => hash(object, object && `#/object/${object}`, whole);
export const assetHash = (asset, whole) => hash(asset, asset && `#/asset/${asset}`, whole);
export const blockLink = (height) => el("a", { href: `#/block/${height}` }, whole(height));

const WHOLE = new Intl.NumberFormat();

/** A whole number with separators; `-` for none. Takes text too, exactly. */
export function whole(value) {
  if (value === null || value === undefined) return "–";
  return WHOLE.format(typeof value === "string" ? BigInt(value) : value);
}

/** A decimal number as text, its whole part with separators. */
export function decimal(text) {
  if (text === null || text === undefined) return "–";
  const [before, behind] = String(text).split(".");
  return behind ? `${whole(before)}.${behind}` : whole(before);
}

/** A time in the reader's zone, with the exact one as its title. */
export function when(text) {
  const time = new Date(text);
  return el("time", { datetime: time.toISOString(), title: time.toISOString() }, time.toLocaleString());
}

/** The same of today: the time alone. */
export function clock(text) {
  const time = new Date(text);
  return el("time", { datetime: time.toISOString(), title: time.toISOString() }, time.toLocaleTimeString());
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  while (count >= 1024 && at < units.length - 1) { count /= 1024; at += 1; }
  return `${at ? count.toFixed(1) : count} ${units[at]}`;
}

export function badge(text, kind = "") {
  return el("span", { class: `badge ${kind}` }, text);
}

/** A card with a heading. */
export function card(title, ...children) {
  return el("section", { class: "card" }, el("h2", {}, title), ...children);
}

/** Names and values of one thing. */
export function facts(pairs) {
  return el("dl", {}, ...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value ?? "–")]));
}

/** Columns are {label, cell(row), number?, words?}. */
export function table(columns, rows, empty = "Nothing yet.") {
  if (!rows.length) return el("p", { class: "empty" }, empty);
  const kind = (column) => (column.number ? "number" : column.words ? "words" : null);
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" },
    el("table", {},
      el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { scope: "col", class: kind(c) }, c.label)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...columns.map((c) => el("td", { class: kind(c) }, c.cell(row))))))));
}
