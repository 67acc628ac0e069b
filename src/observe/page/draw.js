"use strict";
// Draws a run into a page: what src/observe/page.rs says. Whoever includes this decides which step is shown, and when.

const $ = (id) => document.getElementById(id);

/** An element with attributes and children; a text stays a text, whatever is in it. */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const colour = (id) => `r${id % 7}`;
const chip = (id) => el("span", { class: `chip ${colour(id)}`, title: `request ${id}` }, String(id));

/** All steps, a cell each; `choose(step)` is called for one that is clicked. */
function drawLanes(facts, choose) {
  const marks = { w: "·", x: "✕", i: "–" };
  const lanes = facts.requests.map((request) => {
    const cells = [...request.lane].map((letter, step) => {
      const again = facts.steps[step].tokens.some(([id, , , kind]) => id === request.id && kind === "recomputed");
      const shape = { p: again ? "again" : "", d: "decode" }[letter];
      const inner = shape === undefined ? marks[letter] ?? "" : el("i", { class: `${shape} ${colour(request.id)}` });
      const cell = el("div", { class: "cell", "data-step": step, title: `step ${step + 1}` }, inner);
      cell.addEventListener("click", () => choose(step));
      return cell;
    });
    return el("div", { class: "lane" }, chip(request.id), ...cells);
  });
  $("lanes").replaceChildren(...lanes);
}

function drawQueues(step) {
  const ended = step.ended.map(([id, why]) => {
    const whole = chip(id);
    whole.title += `: ${why}`;
    return whole;
  });
  const queue = (name, chips) => [el("dt", {}, name), el("dd", {}, ...(chips.length ? chips : ["–"]))];
  $("queues").replaceChildren(...queue("waiting", step.waiting.map(chip)),
    ...queue("running", step.running.map(chip)), ...queue("finished", ended));
}

function drawBudget(facts, step) {
  const segments = [];
  for (const [id, , , kind] of step.tokens) {
    const same = segments.at(-1);
    if (same && same.id === id) same.count += 1;
    else segments.push({ id, kind, count: 1 });
  }
  const most = facts.max_tokens_per_step;
  $("budget").replaceChildren(...segments.map(({ id, kind, count }) => el("div", {
    class: colour(id) + (kind === "recomputed" ? " again" : ""),
    style: `width: ${100 * count / most}%`,
    title: `request ${id}: ${count}, ${kind}`,
  }, count > most / 25 ? String(id) : "")));
  $("budget_used").textContent = `${step.tokens.length} of ${most} tokens`;
  $("budget").setAttribute("aria-label", $("budget_used").textContent);
}

function drawNews(step) {
  $("news").replaceChildren(...step.news.map(([id, topic, text]) =>
    el("li", { class: topic }, chip(id), el("span", {}, text))));
}

function drawBlocks(facts, step) {
  const owners = new Map(step.owners);
  const written = new Set(step.tokens.map(([, , slot]) => Math.floor(slot / facts.block_size)));
  $("blocks").replaceChildren(...facts.blocks.map((block) => {
    const who = owners.get(block) ?? [];
    const held = who.length ? `held ${colour(who[0])}` : "free";
    const name = who.length ? `${who.join("+")} ×${who.length}` : "free";
    return el("div", { class: held + (written.has(block) ? " written" : "") }, String(block), el("b", {}, name));
  }));
  $("blocks_used").textContent = `${owners.size} of ${facts.num_kv_blocks} held`;
}

function drawTokens(step) {
  const head = ["row", "request", "position", "slot", "what", "cache"].map((name) => el("th", { class: name }, name));
  const keys = step.tokens.map((_, row) => el("th", { class: "key" }, String(row)));
  const what = { prefill: "prompt", recomputed: "again", decode: "decode" };
  const rows = step.tokens.map(([id, position, slot, kind], row) => {
    const mask = step.tokens.map(([key, keyPosition]) => el("td", { class: "key" },
      el("span", { class: id === key && keyPosition <= position ? `attends ${colour(id)}` : "" })));
    return el("tr", {}, el("td", {}, String(row)), el("td", {}, chip(id)), el("td", {}, String(position)),
      el("td", { class: "slot" }, String(slot)), el("td", { class: "what" }, what[kind]), el("td", {}, String(step.cached[row])),
      ...mask);
  });
  $("tokens").replaceChildren(el("tr", {}, ...head, ...keys), ...rows);
}

function drawTexts(facts, now) {
  const texts = facts.requests.flatMap(({ id }) => {
    const pieces = facts.steps.slice(0, now + 1).flatMap((earlier, nth) =>
      earlier.text.filter(([owner]) => owner === id).map(([, text]) => nth === now ? el("mark", {}, text) : text));
    return [el("dt", {}, chip(id)), el("dd", {}, ...(pieces.length ? pieces : ["–"]))];
  });
  $("texts").replaceChildren(...texts);
}

/** A step, counted from 0: queues, budget, news, blocks, tokens, and the text so far. */
function drawStep(facts, now) {
  const step = facts.steps[now];
  for (const cell of document.querySelectorAll("#lanes .cell")) cell.classList.toggle("now", Number(cell.dataset.step) === now);
  drawQueues(step);
  drawBudget(facts, step);
  drawNews(step);
  drawBlocks(facts, step);
  drawTokens(step);
  drawTexts(facts, now);
}
