// Charts as SVG: bars, points and lines over time, and who proposed the last blocks.

import { svg, whole } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 170;
const LEFT = 58;
const BELOW = 20;
const ABOVE = 8;

function nice(top) {
  if (top <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= top);
}

function frame(label, top, from, to, unit, bottom = 0) {
  const grid = [0, 0.5, 1].flatMap((part) => {
    const y = ABOVE + (1 - part) * (HEIGHT - ABOVE - BELOW);
    return [
      svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, whole(bottom + (top - bottom) * part)),
    ];
  });
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    ...grid,
    svg("text", { x: 2, y: HEIGHT - 5 }, unit),
    svg("text", { x: LEFT, y: HEIGHT - 5 }, from),
    svg("text", { x: WIDTH, y: HEIGHT - 5, "text-anchor": "end" }, to));
}

const up = (value, top) => (Math.min(value, top) / top) * (HEIGHT - ABOVE - BELOW);

/** Bars, oldest first; `what` and `unit` name them, `span` says how long ago the first was. */
export function bars(values, what, unit, span) {
  const highest = Math.max(...values, 0);
  const top = nice(highest);
  const now = values.at(-1) ?? 0;
  const chart = frame(`${what}: ${whole(now)} ${unit} now, at most ${whole(highest)}`, top, `${span} ago`, "now", unit);
  const step = (WIDTH - LEFT) / values.length;
  values.forEach((value, at) => {
    const height = up(value, top);
    if (!height) return;
    const place = { x: LEFT + at * step, y: HEIGHT - BELOW - height, width: Math.max(step - 1, 0.5), height };
    chart.append(svg("rect", { class: "bar", ...place }, svg("title", {}, `${whole(value)} ${unit}`)));
  });
  return chart;
}

/** Points, oldest first. */
export function points(values, what, unit, span) {
  const highest = Math.max(...values, 0);
  const top = nice(highest);
  const chart = frame(`${what}: at most ${whole(highest)} ${unit}`, top, `${span} ago`, "now", unit);
  const step = (WIDTH - LEFT - 6) / Math.max(values.length - 1, 1);
  values.forEach((value, at) => {
    const place = { cx: LEFT + 3 + at * step, cy: HEIGHT - BELOW - up(value, top), r: 2.2 };
    chart.append(svg("circle", { class: "dot", ...place }, svg("title", {}, `${whole(value)} ${unit}`)));
  });
  return chart;
}

/** A line through [seconds ago, value], oldest first, over the last `seconds`; its axis begins near the lowest. */
export function line(places, what, unit, seconds) {
  const values = places.map(([, value]) => value);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const step = nice(Math.max(highest - lowest, 1) / 4);
  const bottom = Math.floor(lowest / step) * step;
  const top = Math.max(Math.ceil(highest / step) * step, bottom + 2 * step);
  const label = `${what}: ${whole(lowest)} to ${whole(highest)} ${unit}`;
  const chart = frame(label, top, `${seconds} s ago`, "now", unit, bottom);
  const x = (ago) => LEFT + (1 - Math.min(ago, seconds) / seconds) * (WIDTH - LEFT);
  const y = (value) => HEIGHT - BELOW - up(value - bottom, top - bottom);
  const drawn = places.map(([ago, value]) => `${x(ago).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  chart.append(svg("polyline", { class: "line", points: drawn }));
  return chart;
}

/** A square for each block, coloured by its proposer; a hollow one for a view that made no new block. */
export function leaders(blocks, names) {
  const cells = [];
  blocks.forEach((block, at) => {
    const before = at ? blocks[at - 1].view : block.view - 1;
    const missed = Math.min(block.view - before - 1, 5);
    for (let n = 0; n < missed; n += 1) cells.push({ missed: true, title: "a view without a new block" });
    const name = names[block.proposer] ?? block.proposer;
    cells.push({ at: block.proposer % 8, title: `block ${whole(block.height)} by ${name}` });
  });
  const shown = cells.slice(-120);
  const columns = 60;
  const size = WIDTH / columns;
  const rows = Math.max(Math.ceil(shown.length / columns), 1);
  const label = `Who proposed the last ${blocks.length} blocks`;
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${rows * size}`, role: "img", "aria-label": label });
  shown.forEach((cell, at) => {
    const place = { x: (at % columns) * size + 1, y: Math.floor(at / columns) * size + 1, width: size - 2, height: size - 2 };
    const kind = cell.missed ? "missed" : `c${cell.at}`;
    chart.append(svg("rect", { class: kind, rx: 2, ...place }, svg("title", {}, cell.title)));
  });
  return chart;
}
