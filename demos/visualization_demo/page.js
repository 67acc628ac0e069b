// The player: which step is shown, and when. What draws a step stands before this.

const facts = JSON.parse(document.getElementById("facts").textContent);
const MS_PER_STEP = 900;
let now = 0;
let timer = null;

function show(step) {
  now = Math.max(0, Math.min(facts.steps.length - 1, step));
  $("where").textContent = `step ${now + 1} of ${facts.steps.length}`;
  $("slider").value = now + 1;
  $("first").disabled = $("back").disabled = now === 0;
  $("last").disabled = $("forward").disabled = now === facts.steps.length - 1;
  drawStep(facts, now);
  const middle = document.querySelector("#lanes .now").offsetLeft - $("lanes").parentElement.clientWidth / 2;
  $("lanes").parentElement.scrollLeft = middle;
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

drawLanes(facts, (step) => { pause(); show(step); });
show((Number(location.hash.slice(1)) || 1) - 1);
