(function () {
  "use strict";
  var templates = JSON.parse(document.getElementById("templates").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  // On a narrow screen each name of a legend takes a line, and a long one two: rows move apart to make room.
  function squeeze(figure) {
    var layout = figure.layout, strip = layout.yaxis.domain;
    if (!strip) { layout.margin.l = 56; return; }
    var inner = layout.height - layout.margin.t - layout.margin.b;
    var lines = {}, rows = [], top = (strip[1] - strip[0]) * inner;
    figure.data.forEach(function (trace) {
      if (trace.showlegend === false || trace.legend === "legend") { return; }
      if (trace.name.length > 42) { trace.name = trace.name.replace(/^(.{20,42}) /, "$1<br>"); }
      lines[trace.yaxis] = (lines[trace.yaxis] || 0) + (trace.name.indexOf("<br>") < 0 ? 22 : 30);
    });
    for (var number = 2; layout["yaxis" + number]; number += 1) {
      var domain = layout["yaxis" + number].domain;
      var row = {number: number, from: top + Math.max(40, (lines["y" + number] || 0) + 14)};
      row.to = row.from + (domain[1] - domain[0]) * inner;
      top = row.to;
      rows.push(row);
    }
    layout.yaxis.domain = [1 - (strip[1] - strip[0]) * inner / top, 1];
    rows.forEach(function (row) {
      layout["yaxis" + row.number].domain = [Math.max(0, 1 - row.to / top), 1 - row.from / top];
      layout["legend" + row.number].y = 1 - row.from / top;
      layout["legend" + row.number].font = {size: 10};
      layout["yaxis" + row.number].title.font = {size: 11};
    });
    layout.xaxis.title.font = {size: 11};
    layout.height += top - inner;
    layout.margin.l = 56;
    layout.margin.r = 8;
  }
  function draw() {
    var scheme = dark.matches ? "dark" : "light";
    document.querySelectorAll("[data-figure]").forEach(function (box) {
      // Parsed afresh each time: Plotly writes into what it is given.
      var figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
      figure.layout.template = templates[scheme];
      var narrow = box.clientWidth < 480;
      if (narrow) { squeeze(figure); }
      box.style.minHeight = figure.layout.height + "px";
      // Named one by one: what Plotly offers of itself would send the data to its maker.
      var buttons = [["zoom2d", "pan2d", "resetScale2d", "toImage"]];
      var config = {responsive: true, displaylogo: false, displayModeBar: !narrow, modeBarButtons: buttons};
      Plotly.react(box, figure.data, figure.layout, config);
    });
  }
  draw();
  dark.addEventListener("change", draw);
})();
