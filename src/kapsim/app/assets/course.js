// The figure of the course page: new numbers drawn into the curves that are there, and pictures of it.
//
// Plotly takes over a tenth of a second to go through eleven axes and thirty curves, whatever of them has changed. So
// the curves are drawn here at once, in the axes as Plotly has them, and Plotly is told when the control has come to
// rest: from then on it knows the same numbers, for hovering, zooming and pictures.
(function () {
  "use strict";
  var REST_MS = 700, TRIES = 40;
  var asked = {}, lines = [], waiting = null, timer = null;

  function shapes() { return lines.map(function (line) { return Object.assign({}, line.shape); }); }

  function plot() { return document.querySelector("#course .js-plotly-plot"); }

  // Plotly's arrays of single precision, as the server packs them.
  function plain(values) {
    if (!values || !values.bdata) { return values || []; }
    var text = atob(values.bdata), bytes = new Uint8Array(text.length);
    for (var k = 0; k < text.length; k += 1) { bytes[k] = text.charCodeAt(k); }
    return new Float32Array(bytes.buffer);
  }

  function path(trace, across, up) {
    var parts = new Array(trace.x.length);
    for (var k = 0; k < parts.length; k += 1) {
      parts[k] = across.l2p(trace.x[k]).toFixed(2) + "," + up.l2p(trace.y[k]).toFixed(2);
    }
    return "M" + parts.join("L");
  }

  function same(one, other) { return one.length === other.length && one.every(function (x, k) { return x === other[k]; }); }

  // Whether these are numbers for curves alone: where a dose or a session has moved, Plotly draws all.
  function curvesAlone(box, traces) {
    var drawn = box.layout.shapes || [];
    var still = drawn.length === lines.length && lines.every(function (line, k) { return line.shape.x0 === drawn[k].x0; });
    return still && traces.every(function (trace, k) {
      var there = box._fullData[k];
      return there.mode !== "markers" || same(Array.from(trace.x), Array.from(there.x || []));
    });
  }

  function curves(box, traces) {
    traces.forEach(function (trace, k) {
      var full = box._fullData[k], layout = box._fullLayout;
      if (full.mode === "markers") { return; }
      var group = box.querySelector(".scatterlayer .trace" + full.uid);
      var drawn = group && group.querySelector(full.fill === "toself" ? ".fills path.js-fill" : ".lines path.js-line");
      if (!drawn) { return; }
      var line = path(trace, layout.xaxis, layout["yaxis" + full.yaxis.slice(1)]);
      drawn.setAttribute("d", full.fill === "toself" ? line + "Z" : line);
    });
  }

  // The axes to change for new ranges. One that the reader has zoomed into stays as it is. While a control moves, axes
  // change only where a curve would leave one, as each change costs a redraw; then all whose curves come close to their
  // ends go further than they must.
  function axes(box, ranges, late) {
    var change = {}, leaves = false;
    Object.keys(ranges).forEach(function (name) {
      var axis = box._fullLayout[name], now = axis.range, wanted = ranges[name].slice();
      if (asked[name] && !same(asked[name], now)) { return; }
      var span = wanted[1] - wanted[0], near = 0.15 * span;
      var out = wanted[0] < now[0] || wanted[1] > now[1];
      leaves = leaves || out;
      var low = wanted[0] - (wanted[0] < 0 ? near : 0) < now[0], high = wanted[1] + near > now[1];
      if (late ? !out && now[1] - now[0] <= 2 * span : !low && !high) { return; }
      if (!late) {
        wanted = [low ? wanted[0] - (wanted[0] < 0 ? 0.5 * span : 0) : now[0], high ? wanted[1] + 0.5 * span : now[1]];
      }
      change[name + ".range"] = wanted;
    });
    if (!late && !leaves) { return {}; }
    Object.keys(change).forEach(function (key) {
      var name = key.split(".")[0], axis = box._fullLayout[name];
      asked[name] = change[key];
      axis._rangeInitial0 = change[key][0];
      axis._rangeInitial1 = change[key][1];
    });
    return change;
  }

  function settle() {
    clearTimeout(timer);
    var box = plot(), numbers = waiting;
    waiting = null;
    if (!numbers || !box) { return; }
    var of = function (key) { return numbers.traces.map(function (trace) { return trace[key]; }); };
    var change = Object.assign({shapes: shapes()}, axes(box, numbers.ranges, true));
    window.Plotly.update(box, {x: of("x"), y: of("y"), text: of("text")}, change,
      numbers.traces.map(function (_, k) { return k; }));
  }

  function redraw(numbers, tries) {
    var box = plot();
    clearTimeout(timer);
    waiting = null;
    if (!numbers) { return; }
    lines = numbers.handles || [];
    if (!numbers.traces) {
      // a whole figure: Plotly has all of it already
      asked = Object.assign({}, numbers.ranges);
      return;
    }
    if (!box || !box.calcdata || box.calcdata.length !== numbers.traces.length) {
      // the figure is still being put together
      if (tries > 0) { timer = setTimeout(function () { redraw(numbers, tries - 1); }, 50); }
      return;
    }
    var traces = numbers.traces.map(function (trace) {
      return {x: plain(trace.x), y: plain(trace.y), text: trace.text};
    });
    waiting = {traces: traces, ranges: numbers.ranges};
    if (!curvesAlone(box, traces)) { settle(); return; }
    var change = axes(box, numbers.ranges, false);
    if (Object.keys(change).length) { window.Plotly.relayout(box, change); }
    curves(box, traces);
    timer = setTimeout(settle, REST_MS);
  }

  var own = window.dash_clientside = window.dash_clientside || {};
  own.kapsim = Object.assign({}, own.kapsim, {
    redraw: function (numbers) {
      redraw(numbers, TRIES);
      return own.no_update;
    },
    // A line that was dragged sets its slider; the line itself goes where the answer says.
    dropped: function (change) {
      var found = {}, box = plot(), moved = false;
      Object.keys(change || {}).forEach(function (key) {
        var part = /^shapes\[(\d+)\]\.x[01]$/.exec(key), line = part && lines[Number(part[1])];
        if (!line) { return; }
        moved = true;
        var far = change[key] - line.shape.x0;
        if (Math.abs(far) < 1e-9) { return; }
        var value = Math.round((line.value + far * line.per_unit) / line.step) * line.step;
        found[line.slider] = Math.min(Math.max(Number(value.toFixed(6)), line.low), line.high);
      });
      if (moved && box) { window.Plotly.relayout(box, {shapes: shapes()}); }
      return ["a-first", "a-every", "a-after"].map(function (id) {
        return id in found ? found[id] : own.no_update;
      });
    },
    picture: function () {
      var box = plot(), cause = own.callback_context.triggered[0];
      if (!cause || !box) { return ""; }
      settle();
      var format = cause.prop_id.indexOf("svg") >= 0 ? "svg" : "png";
      window.Plotly.downloadImage(box, {
        format: format, filename: "kapsim-course", width: 1100, height: box.layout.height, scale: 2
      });
      return format;
    }
  });
})();
