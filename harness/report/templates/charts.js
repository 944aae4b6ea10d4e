(() => {
  "use strict";
  const options = { responsive: true, displayModeBar: false, displaylogo: false, showLink: false };
  const charts = [];
  for (const figure of document.querySelectorAll("figure")) {
    const place = figure.querySelector(".chart");
    const given = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    Plotly.newPlot(place, given.data, given.layout, options);
    charts.push(place);
  }
  // Paper is narrower than the screen, and a browser does not tell a page to draw anew for it.
  const PAPER = 660;
  window.addEventListener("beforeprint", () => {
    for (const place of charts) Plotly.relayout(place, { width: PAPER, autosize: false });
  });
  window.addEventListener("afterprint", () => {
    for (const place of charts) Plotly.relayout(place, { width: null, autosize: true });
  });
  document.documentElement.dataset.charts = String(charts.length);
})();
