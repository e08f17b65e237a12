// Draws what lwlab/labs/live_plot.py says: figures, headline, code, status.
//
// Python owns the state. This file keeps no state of its own beyond what is drawn, and draws only
// the newest content: whatever arrives while a frame is being drawn replaces what waits.

async function loadPlotly(model) {
  const reference = model.get("plotly_source").slice("IPY_MODEL_".length);
  const carrier = await model.widget_manager.get_model(reference);
  const packed = new Blob([carrier.get("gzipped")]).stream();
  const source = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
  // plotly.js is a UMD script: give it a module of its own, so that nothing lands on the page.
  const wrapped = `const module = { exports: {} }; ${source}\nexport default module.exports;`;
  const url = URL.createObjectURL(new Blob([wrapped], { type: "text/javascript" }));
  try {
    return (await import(/* webpackIgnore: true */ url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

// Every LivePlot is a module instance of its own: the one plotly.js they share lives on the page.
function sharedPlotly(model) {
  globalThis.__lwlab_plotly ??= loadPlotly(model).catch((error) => {
    globalThis.__lwlab_plotly = undefined;
    throw error;
  });
  return globalThis.__lwlab_plotly;
}

// Figures bring no colours for text and grid: they take those of the notebook, light or dark.
function themed(layout, textColor) {
  const rgb = (textColor.match(/[\d.]+/g) ?? ["128", "128", "128"]).slice(0, 3).join(",");
  const faint = `rgba(${rgb},0.16)`;
  const themedLayout = { ...layout, font: { ...layout.font, color: `rgb(${rgb})` } };
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(key)) {
      themedLayout[key] = { ...layout[key], gridcolor: faint, zerolinecolor: faint };
      themedLayout[key].linecolor = `rgba(${rgb},0.45)`;
    }
  }
  themedLayout.paper_bgcolor = "rgba(0,0,0,0)";
  themedLayout.plot_bgcolor = "rgba(0,0,0,0)";
  return themedLayout;
}

function element(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.appendChild(node);
  return node;
}

function buildPage(el) {
  const root = element("div", "lwlab-live", el);
  root.setAttribute("role", "group");
  const page = {
    root,
    status: element("div", "lwlab-status", root),
    body: element("div", "lwlab-body", root),
  };
  page.status.setAttribute("role", "status");
  page.status.setAttribute("aria-live", "polite");
  page.headline = element("div", "lwlab-headline", page.body);
  page.grid = element("div", "lwlab-grid", page.body);
  page.details = element("div", "lwlab-details", page.body);
  page.fold = element("details", "lwlab-code", page.body);
  element("summary", "", page.fold).textContent = "Show the code of this state";
  page.copy = element("button", "lwlab-copy", page.fold);
  page.copy.type = "button";
  page.copy.textContent = "Copy";
  page.code = element("pre", "", page.fold);
  page.copy.addEventListener("click", () => navigator.clipboard?.writeText(page.code.textContent));
  return page;
}

function showText(page, content) {
  page.headline.innerHTML = content.headline; // written and escaped by lwlab
  page.headline.hidden = !content.headline;
  page.details.innerHTML = content.details; // likewise
  page.details.hidden = !content.details;
  page.code.textContent = content.code;
  page.fold.hidden = !content.code;
}

function showStatus(page, status) {
  page.root.dataset.status = status.kind;
  page.status.textContent = status.text;
  page.body.hidden = status.kind === "locked";
}

function fitCells(page, count, columns) {
  page.grid.style.setProperty("--lwlab-columns", columns);
  while (page.grid.children.length > count) page.grid.lastChild.remove();
  while (page.grid.children.length < count) element("div", "lwlab-cell", page.grid);
}

// A figure that is what it was is left alone: of four, a slider often changes two.
function drawFigure(Plotly, cell, json, cellWidth, textColor) {
  const width = Math.max(220, Math.floor(cellWidth));
  const wanted = `${width} ${textColor} ${json}`;
  if (cell.lwlabDrawn === wanted) return null;
  const figure = JSON.parse(json);
  const draggable = Boolean(figure.layout.meta?.draggable);
  cell.lwlabDrawn = null; // until it is
  const layout = themed(figure.layout, textColor);
  layout.width = width;
  layout.autosize = false;
  const summary = figure.layout.meta?.summary;
  if (summary) {
    cell.setAttribute("role", "img");
    cell.setAttribute("aria-label", summary);
  }
  const edits = { shapePosition: draggable };
  // Plotly would keep a line where it was pulled, whatever the new figure says: each is a new one.
  if (edits.shapePosition) layout.editrevision = performance.now();
  const config = { displayModeBar: false, responsive: false, typesetMath: false, edits };
  return Plotly.react(cell, figure.data, layout, config).then(() => {
    // A line may be pulled before the next redraw, which puts it in place: it is never left alone.
    if (!draggable) cell.lwlabDrawn = wanted;
  });
}

// Once for each cell: a redraw keeps the listener. Before its first figure a cell has no `on`.
function listen(model, cell) {
  if (cell.lwlabListens) return;
  cell.lwlabListens = true;
  const figure = () => [...cell.parentElement.children].indexOf(cell);
  cell.on("plotly_click", ({ points: [point] }) => {
    if (!model.get("clickable") || !point) return;
    const { x, y, customdata = null } = point;
    model.send({ kind: "click", figure: figure(), x, y, customdata });
  });
  // Of an upright line only the way along x counts; what else was pulled is drawn back in place.
  cell.on("plotly_relayout", (changes) => {
    for (const [name, x] of Object.entries(changes)) {
      const [, shape] = name.match(/^shapes\[(\d+)\]\.x[01]$/) ?? [];
      if (shape === undefined || !Number.isFinite(x)) continue;
      model.send({ kind: "drag", figure: figure(), shape: Number(shape), x });
      break;
    }
  });
}

function render({ model, el }) {
  const page = buildPage(el);
  let drawing = false;
  let wanted = false;

  async function drawNewest() {
    wanted = true;
    if (drawing) return;
    drawing = true;
    try {
      while (wanted) {
        wanted = false;
        await draw(model.get("content"));
      }
    } catch (error) {
      showStatus(page, { kind: "error", text: `The plot could not be drawn: ${error.message}` });
      throw error;
    } finally {
      drawing = false;
    }
  }

  async function draw(content) {
    if (!content.figures) return;
    fitCells(page, content.figures.length, Math.max(1, content.columns));
    const drawn = await drawFigures(content.figures);
    showText(page, content);
    // Hidden figures are drawn once there is room for them: see the ResizeObserver below.
    if (drawn) page.root.dataset.drawn = content.version;
  }

  // Sizes are read before anything is written: a read after a write lays out the whole page.
  async function drawFigures(figures) {
    if (!figures.length) return true;
    const Plotly = await sharedPlotly(model);
    const gridWidth = page.grid.clientWidth;
    if (!page.root.isConnected || gridWidth === 0) return false;
    const textColor = getComputedStyle(page.root).color;
    const cells = [...page.grid.children];
    const widths = cells.map((cell) => cell.clientWidth);
    const drawn = figures.map((json, i) => drawFigure(Plotly, cells[i], json, widths[i], textColor));
    await Promise.all(drawn);
    cells.forEach((cell) => listen(model, cell));
    page.root.dataset.width = gridWidth;
    return true;
  }

  const onStatus = () => showStatus(page, model.get("status"));
  const onClickable = () => page.root.classList.toggle("lwlab-clickable", model.get("clickable"));
  model.on("change:content", drawNewest);
  model.on("change:status", onStatus);
  model.on("change:clickable", onClickable);
  onStatus();
  onClickable();
  drawNewest();

  // A cell in a hidden tab or a narrow window has another width when it is looked at again.
  const resized = new ResizeObserver(() => {
    if (String(page.grid.clientWidth) !== page.root.dataset.width) drawNewest();
  });
  resized.observe(page.grid);
  const themeChanged = new MutationObserver(drawNewest);
  themeChanged.observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-theme-name", "data-vscode-theme-id"],
  });

  return () => {
    model.off("change:content", drawNewest);
    model.off("change:status", onStatus);
    model.off("change:clickable", onClickable);
    resized.disconnect();
    themeChanged.disconnect();
    if (globalThis.__lwlab_plotly) {
      globalThis.__lwlab_plotly.then((Plotly) => [...page.grid.children].forEach(Plotly.purge));
    }
  };
}

export default { render };
