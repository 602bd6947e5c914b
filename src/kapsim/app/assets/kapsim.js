// What the explorer does in the browser itself: nothing here asks anything of a server.
(function () {
  "use strict";
  var root = document.documentElement;
  function scheme(dark) {
    root.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
    return dark ? "dark" : "light";
  }
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    kapsim: {
      // Light or dark: what the system says until the reader says otherwise.
      scheme: function (wanted) {
        if (wanted === undefined || wanted === null) {
          wanted = window.matchMedia("(prefers-color-scheme: dark)").matches;
        }
        return [scheme(wanted), wanted];
      },
      // The state of the view into the address and the links; the page is not loaded again.
      remember: function (query) {
        var tail = "?" + (query || "");
        window.history.replaceState(window.history.state, "", window.location.pathname + tail);
        return ["/export/protocol.yaml" + tail, "/export/results.csv" + tail, "/export/report.html" + tail,
          window.location.pathname + tail];
      },
      unfold: function (compare) { return compare ? {} : {display: "none"}; },
      say: function (value) { return String(value); },
      // Only the fields that the route and the drug make use of.
      fields: function (route, drug) {
        var none = {display: "none"}, dosed = drug !== "none" && drug !== "control";
        var weight = ["iv", "im", "sc"].indexOf(route) >= 0;
        return [dosed && weight ? {} : none, dosed && !weight ? {} : none,
          drug !== "none" && route === "iv" ? {} : none];
      },
      picture: function () {
        var box = document.querySelector("#course .js-plotly-plot") || document.getElementById("course");
        var asked = window.dash_clientside.callback_context.triggered[0];
        if (!asked || !box) { return ""; }
        var format = asked.prop_id.indexOf("svg") >= 0 ? "svg" : "png";
        window.Plotly.downloadImage(box, {
          format: format, filename: "kapsim-course", width: 1100, height: box.layout.height, scale: 2
        });
        return format;
      },
      title: function (path) {
        document.querySelectorAll("a.way").forEach(function (way) {
          if (way.getAttribute("href") === path) { way.setAttribute("aria-current", "page"); }
          else { way.removeAttribute("aria-current"); }
        });
        return "";
      }
    }
  });
})();
