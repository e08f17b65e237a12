// Draws what lwlab/labs/pipeline/step_list.py says: blocks in a row, and a form for the chosen one.
//
// Python owns the state: every move sends a whole list of steps, and what comes back is drawn.
// Keys on a block: left and right move it, Delete takes it away, Enter opens its form.

function element(tag, className, parent, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  parent?.appendChild(node);
  return node;
}

function button(parent, text, label, action) {
  const node = element("button", "lwlab-step-button", parent, text);
  node.type = "button";
  node.title = label;
  node.setAttribute("aria-label", label);
  node.addEventListener("click", (event) => {
    event.stopPropagation();
    action();
  });
  return node;
}

function render({ model, el }) {
  const root = element("div", "lwlab-steps", el);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Steps of the pipeline");
  root.dataset.lmSuppressShortcuts = "true"; // the notebook has plans of its own for these keys
  const row = element("ol", "lwlab-steps-row", root);
  const line = element("div", "lwlab-steps-line", root);
  const adding = element("label", "lwlab-steps-add", line, "Add ");
  const menu = element("select", "", adding);
  const message = element("div", "lwlab-steps-message", line);
  message.setAttribute("role", "status");
  const form = element("fieldset", "lwlab-steps-form", root);
  let dragged = null; // index of the block that is being dragged
  let focusOn = null; // which block has the focus after the next drawing

  const steps = () => model.get("steps");
  const locked = () => model.get("disabled");

  function send(list, selected) {
    if (locked()) return;
    model.set("selected", Math.max(0, Math.min(selected, list.length - 1)));
    model.set("steps", list);
    model.save_changes();
  }

  function move(from, to) {
    if (to < 0 || to >= steps().length || from === to) return;
    const list = [...steps()];
    const [step] = list.splice(from, 1);
    list.splice(to, 0, step);
    focusOn = to;
    send(list, to);
  }

  function remove(index) {
    focusOn = Math.min(index, steps().length - 2);
    send(steps().filter((_, i) => i !== index), focusOn);
  }

  // A new step stands behind the chosen one, but before a Pack at the end.
  function add(name) {
    const list = [...steps()];
    let place = list.length ? model.get("selected") + 1 : 0;
    if (name === "Pack") place = list.length;
    else if (place === list.length && list.at(-1)?.step === "Pack") place -= 1;
    list.splice(place, 0, { ...model.get("kinds")[name].first });
    focusOn = place;
    send(list, place);
  }

  function select(index) {
    if (index === model.get("selected")) return;
    focusOn = index;
    model.set("selected", index);
    model.save_changes();
  }

  function onKey(event, index) {
    if (event.target !== event.currentTarget) return; // a button inside the block
    const actions = {
      ArrowLeft: () => move(index, index - 1),
      ArrowRight: () => move(index, index + 1),
      Delete: () => remove(index),
      Backspace: () => remove(index),
      Enter: () => select(index),
      " ": () => select(index),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }

  // Where a block that is dropped here will stand: before or behind the one it is dropped on.
  function placeOf(event, index) {
    const box = event.currentTarget.getBoundingClientRect();
    const behind = event.clientX > box.left + box.width / 2;
    const gap = index + (behind ? 1 : 0);
    return { behind, to: gap > dragged ? gap - 1 : gap };
  }

  function listenToDrag(block, index) {
    block.addEventListener("dragstart", (event) => {
      event.stopPropagation();
      dragged = index;
      event.dataTransfer.setData("text/plain", String(index));
      event.dataTransfer.effectAllowed = "move";
      block.classList.add("lwlab-step-dragged");
    });
    block.addEventListener("dragend", () => {
      dragged = null;
      draw();
    });
    block.addEventListener("dragover", (event) => {
      if (dragged === null) return;
      event.preventDefault();
      event.stopPropagation();
      const { behind } = placeOf(event, index);
      block.dataset.gap = behind ? "behind" : "before";
    });
    block.addEventListener("dragleave", () => delete block.dataset.gap);
    block.addEventListener("drop", (event) => {
      if (dragged === null) return;
      event.preventDefault();
      event.stopPropagation();
      const { to } = placeOf(event, index);
      const from = dragged;
      dragged = null;
      move(from, to);
    });
  }

  function drawBlock(step, index) {
    const text = model.get("texts")[index] ?? "";
    const block = element("li", "lwlab-step", row);
    block.tabIndex = 0;
    block.draggable = !locked();
    block.setAttribute("aria-label", `Step ${index + 1}, ${step.step}: ${text}`);
    block.title = "Drag it, or move it with the arrow keys";
    block.classList.toggle("lwlab-step-chosen", index === model.get("selected"));
    block.classList.toggle("lwlab-step-bad", index === model.get("bad"));
    if (index === model.get("selected")) block.setAttribute("aria-current", "step");
    const head = element("div", "lwlab-step-head", block);
    element("b", "", head, `${index + 1} ${step.step}`);
    element("div", "lwlab-step-text", block, text);
    const tools = element("div", "lwlab-step-tools", block);
    const last = steps().length - 1;
    button(tools, "\u25c0", `Move ${step.step} to the left`, () => move(index, index - 1)).disabled =
      locked() || index === 0;
    button(tools, "\u25b6", `Move ${step.step} to the right`, () => move(index, index + 1)).disabled =
      locked() || index === last;
    button(tools, "\u2715", `Take ${step.step} away`, () => remove(index)).disabled = locked();
    block.addEventListener("click", () => select(index));
    block.addEventListener("keydown", (event) => onKey(event, index));
    listenToDrag(block, index);
  }

  function setField(name, value) {
    const index = model.get("selected");
    send(steps().map((step, i) => (i === index ? { ...step, [name]: value } : step)), index);
  }

  function control(field, value, parent) {
    if (field.kind === "menu") {
      const node = element("select", "", parent);
      const options = field.empty ? [null, ...field.options] : [...field.options];
      if (!options.some((option) => option === value)) options.push(value);
      options.forEach((option, i) => {
        const text = option === null ? "-" : typeof option === "object" ? "by layer" : String(option);
        element("option", "", node, text).value = String(i);
      });
      node.value = String(options.findIndex((option) => option === value));
      node.addEventListener("change", () => setField(field.name, options[Number(node.value)]));
      return node;
    }
    const node = element("input", "", parent);
    if (field.kind === "check") {
      node.type = "checkbox";
      node.checked = Boolean(value);
      node.addEventListener("change", () => setField(field.name, node.checked));
      return node;
    }
    node.type = field.kind === "number" ? "number" : "text";
    node.step = "any";
    node.value = value ?? "";
    node.addEventListener("change", () => {
      const empty = node.value.trim() === "";
      const typed = field.kind === "number" ? Number(node.value) : node.value.trim();
      setField(field.name, empty ? null : typed);
    });
    return node;
  }

  function drawForm() {
    const step = steps()[model.get("selected")];
    const kind = step && model.get("kinds")[step.step];
    const held = form.contains(document.activeElement) ? document.activeElement.dataset.field : null;
    form.replaceChildren();
    form.hidden = !kind;
    form.disabled = locked();
    if (!kind) return;
    element("legend", "", form, `${model.get("selected") + 1} ${step.step}`);
    element("div", "lwlab-steps-about", form, kind.about);
    for (const field of kind.fields) {
      const label = element("label", "", form, `${field.label} `);
      const node = control(field, step[field.name], label);
      node.dataset.field = field.name;
      node.addEventListener("keydown", (event) => event.stopPropagation());
      if (field.name === held) node.focus();
    }
  }

  function draw() {
    const focused = [...row.children].indexOf(document.activeElement?.closest?.(".lwlab-step"));
    row.replaceChildren();
    steps().forEach(drawBlock);
    menu.disabled = locked();
    message.textContent = model.get("fault");
    drawForm();
    const wanted = focusOn ?? (focused >= 0 ? focused : null);
    focusOn = null;
    if (wanted !== null) row.children[wanted]?.focus();
  }

  element("option", "", menu, "a step ...").value = "";
  for (const [name, kind] of Object.entries(model.get("kinds"))) {
    const option = element("option", "", menu, name);
    option.value = name;
    option.title = kind.about;
  }
  menu.addEventListener("change", () => {
    if (menu.value) add(menu.value);
    menu.value = "";
  });
  menu.addEventListener("keydown", (event) => event.stopPropagation());

  // One drawing for all that one message brings.
  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      if (dragged === null) draw();
    });
  }
  const watched = ["steps", "texts", "fault", "bad", "selected", "disabled"];
  watched.forEach((name) => model.on(`change:${name}`, later));
  draw();
  return () => watched.forEach((name) => model.off(`change:${name}`, later));
}

export default { render };
