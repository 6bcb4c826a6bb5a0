// What plain HTML can't do. Everything works without it, only less comfortably.
"use strict";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A chart is drawn from the table beside it: who can't see it reads the same.
function drawCharts(root) {
  if (!window.Chart) return;
  root.querySelectorAll("figure[data-chart]").forEach((figure) => {
    const canvas = figure.querySelector("canvas");
    const table = figure.querySelector("table");
    if (!canvas || !table || canvas.dataset.drawn) return;
    canvas.dataset.drawn = "yes";
    const heads = [...table.tHead.rows[0].cells].slice(1).filter((head) => !("skip" in head.dataset));
    const rows = [...table.tBodies[0].rows];
    const figure_of = (row, column) => Number(row.cells[column + 1].dataset.value || row.cells[column + 1].textContent);
    const name_of = (row) => row.cells[0].dataset.short || row.cells[0].textContent.trim();
    const bar = (label, data, fill, hidden = false) => (
      { label, data, hidden, backgroundColor: fill, borderRadius: 3, maxBarThickness: 28 }
    );
    // "bar": a row is a day, a column a series; "people": a column is a day, a row a series.
    const by_people = figure.dataset.chart === "people";
    const labels = by_people ? heads.map((head) => head.textContent.trim()) : rows.map(name_of);
    const datasets = by_people
      ? rows.map((row, n) => bar(name_of(row), heads.map((_, column) => figure_of(row, column)), colour(`--person-${n % 6 + 1}`)))
      : heads.map((head, column) => bar(head.textContent.trim(), rows.map((row) => figure_of(row, column)), colour(head.dataset.colour), "hidden" in head.dataset));
    // A bar leads where its row's heading leads.
    const link_of = (found) => (found.length && !by_people ? rows[found[0].index].cells[0].querySelector("a") : null);
    const text = colour("--pico-muted-color");
    const grid = colour("--pico-muted-border-color");
    new window.Chart(canvas, {
      type: "bar",
      data: { labels, datasets },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        onClick: (_, found) => { const link = link_of(found); if (link) window.location.assign(link.href); },
        onHover: (event, found) => { event.native.target.style.cursor = link_of(found) ? "pointer" : ""; },
        plugins: { legend: { position: "bottom", labels: { color: text, boxWidth: 12, boxHeight: 12 } } },
        scales: {
          x: { stacked: true, ticks: { color: text }, grid: { display: false } },
          y: { stacked: true, beginAtZero: true, ticks: { color: text, precision: 0 }, grid: { color: grid } },
        },
      },
    });
  });
}

// A chart as a picture, on the page's own ground: for a chat or a slide.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-save-chart]");
  const canvas = button?.closest("figure")?.querySelector("canvas[data-drawn]");
  if (!canvas) return;
  const picture = document.createElement("canvas");
  picture.width = canvas.width;
  picture.height = canvas.height;
  const drawing = picture.getContext("2d");
  drawing.fillStyle = colour("--pico-card-background-color") || "#fff";
  drawing.fillRect(0, 0, picture.width, picture.height);
  drawing.drawImage(canvas, 0, 0);
  picture.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${button.dataset.saveChart}.png`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
});

// A question is asked in the page's own words before something that can't be taken back.
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// A text that was changed and not sent is asked about before it is left: by a link, «back», a reload or a closed tab.
function changedForms() {
  const is_changed = (field) => {
    if (field.dataset.restored === "yes") return true;
    if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") {
      const chosen = [...field.options].findLastIndex((one) => one.defaultSelected);
      return field.selectedIndex !== Math.max(chosen, 0);
    }
    return field.value !== field.defaultValue;
  };
  const fields = "textarea, select, input:not([type=hidden])";
  return [...document.querySelectorAll("form[data-unsaved]")].filter(
    (form) => !form.dataset.sent && (form.dataset.restored === "yes" || [...form.querySelectorAll(fields)].some(is_changed)),
  );
}

window.addEventListener("beforeunload", (event) => {
  if (changedForms().length) event.preventDefault();
});

// A form that is sent takes its text along; any other one of the page would lose it.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const { target } = event;
  if ("unsaved" in target.dataset) target.dataset.sent = "yes";
  // What follows a form takes what stands in it along.
  const follower = target.querySelector("[data-follows]");
  if (follower) document.getElementById(follower.dataset.follows).dataset.sent = "yes";
});

// Who says that nothing is to be changed is not asked again.
document.addEventListener("click", (event) => {
  if (event.target.closest("a[data-discards]")) changedForms().forEach((form) => { form.dataset.sent = "yes"; });
});

// «Back» may bring the page as it was left: what was sent then can be lost now.
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.dataset.enter === "stays") event.preventDefault();
});

// «/» looks for a deal, «?» says which keys there are; not while somebody types.
document.addEventListener("keydown", (event) => {
  const is_typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (is_typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") document.getElementById("keys")?.showModal();
  if (event.key !== "/") return;
  const field = document.querySelector(".find input");
  const menu = document.getElementById("menu");
  if (!field) return;
  event.preventDefault();
  if (!field.checkVisibility()) menu?.showPopover?.();
  field.focus();
});

// Over plain http a page has no clipboard, but what is selected in a field can be copied.
function copiedFromField(button) {
  const field = document.createElement("textarea");
  field.value = button.dataset.copy;
  button.after(field);
  field.select();
  const is_done = document.execCommand("copy");
  field.remove();
  button.focus();
  return is_done;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const copied = () => { button.textContent = button.dataset.copied; };
  if (navigator.clipboard) navigator.clipboard.writeText(button.dataset.copy).then(copied);
  else if (copiedFromField(button)) copied();
});

// A big file is read for a minute: the form says how far that is.
document.addEventListener("htmx:beforeRequest", (event) => {
  const place = event.detail.elt.querySelector("[data-progress]");
  if (!place) return;
  const usual = place.textContent;
  const timer = setInterval(async () => {
    const answer = await fetch(place.dataset.progress).catch(() => null);
    const words = answer?.status === 200 ? await answer.text() : "";
    if (words) place.textContent = words;
  }, 1000);
  event.detail.xhr.addEventListener("loadend", () => { clearInterval(timer); place.textContent = usual; });
});

// The bridge is away: what the page shows stays, and is said to be old.
function sayAway(event) {
  const place = document.getElementById("away");
  place.textContent = event.detail.elt.closest("[data-away]")?.dataset.away || place.dataset.words;
}
document.addEventListener("htmx:sendError", sayAway);
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  // A proxy's own page says that nobody stands behind it; the bridge tells htmx where its words belong.
  if ([502, 503, 504].includes(xhr.status) && !xhr.getResponseHeader("HX-Retarget")) {
    event.detail.shouldSwap = false;
    sayAway(event);
  } else document.getElementById("away").textContent = "";
});

// Line numbers beside a text, for the eye alone: a screen reader reads the text.
function numberLines(editor) {
  const field = editor.querySelector("textarea");
  const gutter = editor.querySelector(".line-numbers");
  const bad = new Set((editor.dataset.bad ?? "").split(" ").filter(Boolean).map(Number));
  let shown = 0;
  const follow = () => { gutter.scrollTop = field.scrollTop; };
  const count = () => {
    const lines = field.value.split("\n").length;
    if (lines !== shown) {
      gutter.replaceChildren(...Array.from({ length: lines }, (_, n) => {
        const number = document.createElement(bad.has(n + 1) ? "b" : "span");
        number.textContent = `${n + 1}\n`;
        return number;
      }));
    }
    shown = lines;
    follow();
  };
  field.addEventListener("input", count);
  field.addEventListener("scroll", follow);
  count();
}

function goToLine(field, line) {
  const lines = field.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  field.focus({ preventScroll: true });
  field.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  // Not in the middle: a phone's keyboard covers the lower half.
  field.scrollTop = (line - 1) * parseFloat(getComputedStyle(field).lineHeight) - field.clientHeight / 4;
  field.scrollLeft = 0;
  field.scrollIntoView({ block: "start" });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-line]");
  const field = link && document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  goToLine(field, Number(link.dataset.line));
});

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".editor").forEach(numberLines));

// Of a call script: what the client has said leads to the step that follows.
document.addEventListener("change", (event) => {
  const step = event.target.dataset?.leads && document.getElementById(event.target.dataset.leads);
  if (!step) return;
  step.focus({ preventScroll: true });
  step.scrollIntoView({ block: "start" });
});

// The newest day stands at the right: that is where a table that does not fit begins to be read.
function showNewest(root) {
  root.querySelectorAll('figure[data-chart="people"] .scroll').forEach((box) => { box.scrollLeft = box.scrollWidth; });
}

document.addEventListener("DOMContentLoaded", () => { drawCharts(document); showNewest(document); });
document.addEventListener("htmx:load", (event) => drawCharts(event.detail.elt.parentElement || document));

// The block in TOML follows the form, unless somebody has begun to write in it.
let following;
document.addEventListener("change", (event) => {
  const form = event.target.form;
  const pane = form && document.querySelector(`textarea[data-follows="${form.id}"]`);
  if (!pane) return;
  clearTimeout(following);
  following = setTimeout(async () => {
    // A form of many parts would be refused.
    const body = new URLSearchParams(new FormData(form));
    body.set("do", "text");
    const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
    if (answer?.status !== 200 || pane.value !== pane.defaultValue) return;
    pane.value = pane.defaultValue = await answer.text();
  }, 250);
  const state = form.elements.state?.value;
  if (state) document.querySelectorAll(`.toml-pane input[name="state"]`).forEach((field) => { field.value = state; });
});

// A list has one empty field at its end: when it is filled, another one comes.
document.addEventListener("input", (event) => {
  const rows = event.target.closest("[data-grows]");
  const last = rows?.querySelector(":scope > .one:last-child");
  if (!last || !last.contains(event.target) || !event.target.value) return;
  const next = last.cloneNode(true);
  const number = Number(event.target.name.split(".").pop()) + 1;
  next.querySelectorAll(".notes").forEach((one) => one.remove());
  const field = next.querySelector("input, select, textarea");
  field.name = `${rows.dataset.grows}.${number}`;
  field.id = field.name.replaceAll(".", "-");
  field.value = "";
  field.removeAttribute("aria-describedby");
  field.setAttribute("aria-label", (field.getAttribute("aria-label") || "").replace(/\d+$/, number + 1));
  rows.append(next);
});

// What was folded out stays so when the form comes anew.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "rule-form") return;
  const open = [...document.querySelectorAll("details[data-keep][open]")].map((one) => one.dataset.keep);
  document.addEventListener("htmx:afterSwap", () => {
    document.querySelectorAll("details[data-keep]").forEach((one) => { if (open.includes(one.dataset.keep)) one.open = true; });
  }, { once: true });
});
