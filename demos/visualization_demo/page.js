"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const $ = (id) => document.getElementById(id);
const MS_PER_STEP = 900;
let now = 0;
let timer = null;

/** An element with attributes and children; a text stays a text, whatever is in it. */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const colour = (id) => `r${id % 7}`;
const chip = (id) => el("span", { class: `chip ${colour(id)}`, title: `request ${id}` }, String(id));

function drawLanes() {
  const marks = { w: "·", x: "✕", i: "–" };
  const lanes = facts.requests.map((request) => {
    const cells = [...request.lane].map((letter, step) => {
      const again = facts.steps[step].tokens.some(([id, , , kind]) => id === request.id && kind === "recomputed");
      const shape = { p: again ? "again" : "", d: "decode" }[letter];
      const inner = shape === undefined ? marks[letter] ?? "" : el("i", { class: `${shape} ${colour(request.id)}` });
      const cell = el("div", { class: "cell", "data-step": step, title: `step ${step + 1}` }, inner);
      cell.addEventListener("click", () => { pause(); show(step); });
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

function drawBudget(step) {
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

function drawBlocks(step) {
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

function drawTexts() {
  const texts = facts.requests.flatMap(({ id }) => {
    const pieces = facts.steps.slice(0, now + 1).flatMap((step, nth) =>
      step.text.filter(([owner]) => owner === id).map(([, text]) => nth === now ? el("mark", {}, text) : text));
    return [el("dt", {}, chip(id)), el("dd", {}, ...(pieces.length ? pieces : ["–"]))];
  });
  $("texts").replaceChildren(...texts);
}

function show(step) {
  now = Math.max(0, Math.min(facts.steps.length - 1, step));
  const step_now = facts.steps[now];
  $("where").textContent = `step ${now + 1} of ${facts.steps.length}`;
  $("slider").value = now + 1;
  $("first").disabled = $("back").disabled = now === 0;
  $("last").disabled = $("forward").disabled = now === facts.steps.length - 1;
  for (const cell of document.querySelectorAll("#lanes .cell")) cell.classList.toggle("now", Number(cell.dataset.step) === now);
  const middle = document.querySelector("#lanes .now").offsetLeft - $("lanes").parentElement.clientWidth / 2;
  $("lanes").parentElement.scrollLeft = middle;
  for (const draw of [drawQueues, drawBudget, drawNews, drawBlocks, drawTokens, drawTexts]) draw(step_now);
  history.replaceState(null, "", `#${now + 1}`);
}

function setPlaying(playing) {
  $("play_shape").setAttribute("d", playing ? "M4 3h2v10H4zM10 3h2v10h-2z" : "M4 2l9 6-9 6z");
  $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

function pause() {
  clearInterval(timer);
  timer = null;
  setPlaying(false);
}

function play() {
  if (now === facts.steps.length - 1) show(0);
  timer = setInterval(() => now < facts.steps.length - 1 ? show(now + 1) : pause(), MS_PER_STEP);
  setPlaying(true);
}

const actions = {
  first: () => show(0),
  back: () => show(now - 1),
  forward: () => show(now + 1),
  last: () => show(facts.steps.length - 1),
};
const keys = { Home: "first", ArrowLeft: "back", ArrowRight: "forward", End: "last" };
const toggle = () => timer === null ? play() : pause();

for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", () => { pause(); action(); });
$("play").addEventListener("click", toggle);
$("slider").max = facts.steps.length;
$("slider").addEventListener("input", () => { pause(); show(Number($("slider").value) - 1); });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  // A button answers to space by itself, the slider to arrows.
  if (event.key === " " && event.target.tagName !== "BUTTON") {
    event.preventDefault();
    toggle();
  } else if (keys[event.key] && event.target.id !== "slider") {
    event.preventDefault();
    pause();
    actions[keys[event.key]]();
  }
});

drawLanes();
show((Number(location.hash.slice(1)) || 1) - 1);
