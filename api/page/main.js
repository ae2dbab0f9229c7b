// Which page is shown; what all pages share.

import { Problem, committee, follow, get, learnCommittee } from "./client.js";
import { card, el } from "./dom.js";
import { BY_ID, COLUMNS, listPage } from "./lists.js";
import { drill, drills, evidence, node, peers, validators } from "./node.js";
import { overview, wrong } from "./overview.js";
import { address, asset, block, lookUp, nowhere, object, transaction } from "./things.js";

const tabsOf = (...names) => (current) => () => el("div", { class: "tabs" },
  ...names.map((name) => el("a",
    { href: `#/${name}`, "aria-current": name === current ? "page" : null, class: "tab" }, name)));
const tabs = tabsOf("transactions", "rejections", "transfers");
const objectTabs = tabsOf("objects", "writes");

const PAGES = {
  "": ["Overview", overview],
  validators: ["Validators", validators],
  blocks: ["Blocks", listPage("Blocks", "/blocks", COLUMNS.blocks, { caption: "Final, executed blocks" })],
  transactions: ["Transactions", listPage("Transactions", "/transactions", COLUMNS.transactions,
    { caption: "What executed", tabs: tabs("transactions") })],
  objects: ["Objects", listPage("Objects", "/objects", COLUMNS.objects,
    { caption: "Objects as they are now, by id", tabs: objectTabs("objects"), empty: "There is no object yet.", words: BY_ID })],
  assets: ["Assets", listPage("Assets", "/assets", COLUMNS.assets, { caption: "Assets, by id", words: BY_ID })],
  balances: ["Balances", listPage("Balances", "/balances", COLUMNS.holders,
    { caption: "Who holds what, by address", empty: "Nobody holds anything yet.", words: BY_ID })],
  checkpoints: ["Checkpoints", listPage("Checkpoints", "/checkpoints", COLUMNS.checkpoints,
    { caption: "The state after each checkpoint block" })],
  drills: ["Drills", drills],
  evidence: ["Evidence", evidence],
  peers: ["Peers", peers],
  node: ["This node", node],
};
const OTHERS = {
  rejections: ["Transactions", listPage("Transactions", "/rejections", COLUMNS.rejections,
    { caption: "What had no effect, and why", tabs: tabs("rejections"), empty: "Nothing was rejected." })],
  transfers: ["Transactions", listPage("Transactions", "/transfers", COLUMNS.transfers,
    { caption: "Movements of units", tabs: tabs("transfers") })],
  writes: ["Objects", listPage("Objects", "/writes", COLUMNS.writes,
    { caption: "What was written, newest first", tabs: objectTabs("writes"), empty: "No object was written yet." })],
  drill: ["Drills", drill],
  block: ["Blocks", block],
  transaction: ["Transactions", transaction],
  address: ["Balances", address],
  object: ["Objects", object],
  asset: ["Assets", asset],
};

const ALL = new Map([...Object.entries(PAGES), ...Object.entries(OTHERS)]);

const content = document.getElementById("content");
let end = () => {};
let shown = 0;

async function show() {
  // The skip link leads to a place on the page that is shown.
  if (shown && !location.hash.startsWith("#/") && location.hash) return;
  const [name, id] = (location.hash.startsWith("#/") ? location.hash.slice(2) : "").split("/");
  const [title, page] = ALL.get(name) ?? ["No such page", nowhere];
  const turn = shown += 1;
  end();
  end = () => {};
  document.title = `${title} · Momus`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.textContent !== title) {
      link.removeAttribute("aria-current");
      continue;
    }
    link.setAttribute("aria-current", "page");
    // On a phone the menu is wider than the window.
    link.scrollIntoView({ block: "nearest", inline: "center" });
  }
  const into = el("div");
  try {
    // Names only: no page waits for long for them.
    const learned = committee.length ? null : learnCommittee().catch(() => {});
    await Promise.race([learned, new Promise((then) => setTimeout(then, 1500))]);
    const ended = await page(into, id);
    if (turn !== shown) { ended(); return; }
    end = ended;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (turn !== shown) return;
    into.replaceChildren(el("h1", {}, title), card("It did not work", el("p", {}, problem.message)));
    const again = setTimeout(show, 3000);
    end = () => clearTimeout(again);
  }
  content.replaceChildren(into);
}

function drawMenu() {
  document.getElementById("pages").replaceChildren(...Object.entries(PAGES).map(([name, [title]]) =>
    el("li", {}, el("a", { href: `#/${name}` }, title))));
}

function switchTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
}

function say(state) {
  const badge = document.getElementById("live");
  if (badge.textContent === state) return;
  badge.textContent = state;
  badge.className = `badge ${state === "connected" ? "good" : "warn"}`;
}

let told = null;

/** How the node is, on every page, and why it is not well; `null`: it does not answer. */
function tell(status) {
  const word = status === null ? "not reached" : status.ready ? "ready" : "not ready";
  const health = document.getElementById("health");
  if (health.textContent !== word) health.textContent = word;
  health.className = `badge ${word === "ready" ? "good" : "bad"}`;
  const reasons = status === null ? ["The node does not answer. What is shown is older."] : wrong(status);
  const text = reasons.join("\n");
  if (text !== told) {
    const trouble = document.getElementById("trouble");
    trouble.replaceChildren(...reasons.map((each) => el("p", {}, each)));
    trouble.hidden = !text;
    told = text;
  }
  if (status === null) say("reconnecting");
  else if (isOpen()) say("connected");
  if (status !== null) document.getElementById("chain").textContent = `${status.chain} · ${status.validator}`;
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
document.getElementById("theme").addEventListener("click", switchTheme);
document.getElementById("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = new FormData(event.target).get("wanted").trim().toLowerCase();
  const found = await lookUp(wanted).catch(() => null);
  if (found) location.hash = found;
  else content.replaceChildren(el("h1", {}, "Nothing found"), card("Search", el("p", {},
    "Give a height, or the 64 hex digits of a transaction, an address, an object or an asset.")));
});
window.addEventListener("hashchange", () => show().then(() => content.focus({ preventScroll: true })));
drawMenu();
const isOpen = follow(say);
async function ask() {
  if (!document.hidden) await get("/status").then(tell, () => tell(null));
  setTimeout(ask, 2000);
}
ask();
show();
