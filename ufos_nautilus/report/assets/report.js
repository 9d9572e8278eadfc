"use strict";
(() => {
  const root = document.documentElement;
  const boxes = Array.from(document.querySelectorAll(".plot"));
  if (!window.Plotly) {
    root.dataset.charts = "missing";
    return;
  }
  root.dataset.charts = "drawing";
  const figures = boxes.map((box) => JSON.parse(document.getElementById(box.id + "-figure").textContent));
  for (const figure of figures) {
    for (const trace of figure.data) {
      if (trace.t0 !== undefined) {
        const start = trace.t0;
        trace.x = trace.x.map((after) => start + after);
        delete trace.t0;
      }
    }
  }

  const touch = matchMedia("(pointer: coarse)").matches;
  // The buttons are named one by one, since plotly.js offers one by default that uploads the figure.
  const buttons = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"];
  const bare = (box) => touch || box.clientWidth < 560;
  const config = (box) => ({ responsive: true, displaylogo: false, doubleClick: "reset", plotlyServerURL: "",
    displayModeBar: !bare(box), modeBarButtons: [buttons] });

  function coloured(value, style) {
    if (typeof value === "string" && value.startsWith("--")) return style.getPropertyValue(value).trim();
    if (Array.isArray(value)) return value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner, style)]));
  }

  function dressed(figure, box, style) {
    const narrow = box.clientWidth < 560;
    const text = style.getPropertyValue("--text").trim();
    const soft = style.getPropertyValue("--soft").trim();
    const grid = style.getPropertyValue("--grid").trim();
    const own = coloured(figure.layout, style);
    const layout = {
      ...own,
      autosize: true,
      height: Number(box.dataset.height),
      uirevision: "keep",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: narrow ? 11 : 12, color: soft },
      margin: { l: 8, r: narrow ? 8 : 16, t: bare(box) ? 12 : 34, b: 8 },
      legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { color: text }, itemwidth: 30,
        traceorder: "normal" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: text },
      hovermode: "closest",
      hoverlabel: { bgcolor: style.getPropertyValue("--card").trim(), bordercolor: grid, font: { color: text } },
      dragmode: touch ? false : "zoom",
      bargap: 0.15,
    };
    for (const key of Object.keys(own).filter((name) => /^[xy]axis\d*$/.test(name))) {
      const date = own[key].type === "date";
      layout[key] = { automargin: true, gridcolor: grid, zerolinecolor: grid, linecolor: grid, tickcolor: grid,
        separatethousands: true, exponentformat: "none", nticks: date ? (narrow ? 4 : 9) : 6,
        fixedrange: touch && !date, showgrid: !date, ...own[key] };
      if (layout[key].title) layout[key].title = { standoff: 8, ...layout[key].title };
    }
    const data = figure.data.map((trace) => ({ ...coloured(trace, style), x: trace.x, y: trace.y }));
    return [data, layout];
  }

  function draw() {
    const style = getComputedStyle(root);
    const drawn = boxes.map((box, i) => window.Plotly.react(box, ...dressed(figures[i], box, style), config(box)));
    return Promise.all(drawn).then(
      () => { root.dataset.charts = "drawn"; },
      (error) => { root.dataset.charts = "failed"; console.error(error); },
    );
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
