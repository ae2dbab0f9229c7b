// What the web UI asks of its node.

/** Relative to where the page is: a proxy may serve it below a path of its own. */
const BASE = "v1";
/** A node that hangs holds connections of which a browser has few; without an answer by then there is none. */
const ANSWER_MS = 10000;
const STATUS_MS = 5000;

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title);
    this.code = document.code;
  }
}

/** JSON of a path below /v1; a problem is thrown, also where no answer comes in time. */
export async function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  const signal = AbortSignal.timeout(path === "/status" ? STATUS_MS : ANSWER_MS);
  let answer;
  let document;
  try {
    answer = await fetch(`${BASE}${path}${query ? `?${query}` : ""}`, { headers: { Accept: "application/json" }, signal });
    document = await answer.json();
  } catch {
    throw new Problem({ code: "unreachable", title: "The node does not answer." });
  }
  if (!answer.ok) throw new Problem(document);
  return document;
}

/** The same, or null where there is no such thing. */
export async function find(path) {
  try {
    return await get(path);
  } catch (problem) {
    if (problem.code === "not_found") return null;
    throw problem;
  }
}

/** The validators of genesis, which do not change; empty until they are known. */
export const committee = [];

export async function learnCommittee() {
  const { items } = await get("/validators");
  committee.splice(0, committee.length, ...items);
}

const listeners = new Set();

/** Calls `heard(block)` for every block from now on; the answer ends it. */
export function onBlock(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

/**
 * Follow the blocks for as long as the page is seen: a browser has few connections to one address, and a page that is
 * hidden, or kept for going back, must not hold one. `said(state)`: connected, reconnecting or paused. The answer tells
 * whether a connection is open: to a node that hangs it stays so, and the browser does not say when that goes on.
 */
export function follow(said) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    const own = source = new EventSource(`${BASE}/streams/blocks`);
    own.addEventListener("open", () => said("connected"));
    own.addEventListener("error", () => {
      if (own !== source) return;
      said("reconnecting");
      if (own.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(open, 2000);
    });
    own.addEventListener("block", (event) => {
      said("connected");
      const block = JSON.parse(event.data);
      for (const heard of [...listeners]) heard(block);
    });
  };
  const close = () => {
    source?.close();
    source = null;
    said("paused");
  };
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
  return () => source?.readyState === EventSource.OPEN;
}
