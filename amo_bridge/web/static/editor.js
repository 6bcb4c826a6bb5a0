// The config's text in CodeMirror. Without it the same text area stays, with its line numbers.
"use strict";

(() => {
  const field = document.querySelector("textarea[data-editor]");
  if (!field || !window.CodeMirror) return;
  const { CodeMirror } = window;
  const words = JSON.parse(field.dataset.phrases);
  const box = field.closest(".editor");
  const state = document.getElementById("editor-state");
  const keys = document.querySelector(".editor-keys");
  const LEAVING = { name: "leaving", Tab: false, "Shift-Tab": false };
  const editor = CodeMirror.fromTextArea(field, {
    mode: field.dataset.editor,
    lineNumbers: true,
    // A screen reader, and a phone's keyboard, know it as the text itself.
    inputStyle: "contenteditable",
    gutters: ["mistakes", "CodeMirror-linenumbers"],
    phrases: words,
    screenReaderLabel: field.getAttribute("aria-label"),
    spellcheck: false,
    autocapitalize: false,
    indentUnit: 2,
    viewportMargin: 40,
    extraKeys: {
      "Ctrl-Space": () => complete(),
      "Ctrl-F": "findPersistent",
      "Cmd-F": "findPersistent",
      // Esc lets Tab go: without a mouse there is a way out.
      Esc: () => { editor.addKeyMap(LEAVING); return CodeMirror.Pass; },
    },
  });
  editor.on("blur", () => editor.removeKeyMap("leaving"));
  box.classList.add("has-editor");
  keys.hidden = false;

  // --- mistakes, each below its line ---

  let widgets = [];
  function show(problems) {
    editor.operation(() => {
      editor.clearGutter("mistakes");
      editor.eachLine((line) => editor.removeLineClass(line, "wrap", "bad-line"));
      widgets.forEach((one) => one.clear());
      widgets = [];
      const by_line = Map.groupBy ? Map.groupBy(problems, (one) => one.line) : problems.reduce((all, one) => all.set(one.line, [...(all.get(one.line) ?? []), one]), new Map());
      by_line.forEach((ones, number) => {
        const line = Math.min(number, editor.lineCount()) - 1;
        const mark = document.createElement("span");
        mark.className = "bad-mark";
        mark.textContent = "●";
        editor.setGutterMarker(line, "mistakes", mark);
        editor.addLineClass(line, "wrap", "bad-line");
        const told = document.createElement("div");
        told.className = "bad-words";
        told.textContent = ones.map((one) => one.words).join("; ");
        widgets.push(editor.addLineWidget(line, told, { coverGutter: false, noHScroll: true }));
      });
    });
    state.textContent = problems.length ? `${state.dataset.some} ${new Set(problems.map((one) => one.line)).size}` : state.dataset.none;
  }
  const told = JSON.parse(field.dataset.problems);
  if (told.length) show(told);

  let waiting;
  let asked = 0;
  async function ask() {
    const number = ++asked;
    const body = new URLSearchParams({ text: editor.getValue(), csrf_token: field.form.elements.csrf_token.value });
    const answer = await fetch(field.dataset.check, { method: "POST", body }).catch(() => null);
    // A later question has been asked meanwhile, or nobody answers: what is shown stays.
    if (number !== asked || answer?.status !== 200) return;
    show(await answer.json().catch(() => []));
  }
  editor.on("change", () => {
    editor.save();
    clearTimeout(waiting);
    waiting = setTimeout(ask, 1200);
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    if (!link || link.hash !== `#${field.id}`) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const line = Number(link.dataset.line) - 1;
    editor.setSelection({ line, ch: 0 }, { line, ch: (editor.getLine(line) ?? "").length });
    editor.scrollIntoView({ line, ch: 0 }, 120);
    editor.focus();
    box.scrollIntoView({ block: "start" });
  }, true);

  // --- names of the account and keys of the block ---

  let known;
  async function names() {
    known ??= await fetch(field.dataset.names).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
    return known;
  }
  function block(line) {
    for (let n = line; n >= 0; n -= 1) {
      const header = /^\s*\[+([^\]#]+)\]/.exec(editor.getLine(n));
      if (header) return header[1].split(".").map((part) => part.trim().replace(/^["']|["']$/g, ""));
    }
    return [];
  }
  async function found() {
    const all = await names();
    const at = editor.getCursor();
    const before = editor.getLine(at.line).slice(0, at.ch);
    if (!all) return null;
    const from = (length) => CodeMirror.Pos(at.line, at.ch - length);
    const header = /^\s*\[+([^\]]*)$/.exec(before);
    if (header) return { list: matching(all.blocks[""], header[1]), from: from(header[1].length), to: at };
    const quoted = /"([^"]*)$/.exec(before);
    if (quoted && (before.match(/"/g) ?? []).length % 2) {
      const list = [...new Set(Object.values(all.names).flat())];
      return { list: matching(list, quoted[1]).map((name) => name.replace(/["\\]/g, "\\$&")), from: from(quoted[1].length), to: at };
    }
    const key = /(?:^|[{,])\s*([\w-]*)$/.exec(before);
    if (!key) return null;
    const path = block(at.line);
    const list = all.keys[path.slice(0, 2).join(".")] ?? all.keys[path[0]] ?? [];
    return { list: matching(list, key[1]), from: from(key[1].length), to: at };
  }
  function matching(list, typed) {
    const wanted = typed.toLocaleLowerCase();
    const fits = list.filter((one) => one.toLocaleLowerCase().includes(wanted));
    return fits.sort((a, b) => b.toLocaleLowerCase().startsWith(wanted) - a.toLocaleLowerCase().startsWith(wanted));
  }
  async function complete() {
    const hints = await found();
    if (hints?.list.length) editor.showHint({ hint: () => found(), completeSingle: false });
  }
})();
