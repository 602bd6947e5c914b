// What the explorer does in the browser itself: nothing here asks anything of a server.
(function () {
  "use strict";
  var root = document.documentElement;
  function scheme(dark) {
    root.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
    return dark ? "dark" : "light";
  }
  function made(name, attributes, children) {
    var found = document.createElement(name);
    Object.keys(attributes).forEach(function (key) { found.setAttribute(key, attributes[key]); });
    found.append.apply(found, children);
    return found;
  }
  function table(spec) {
    var head = spec.headings.map(function (text) { return made("th", {scope: "col"}, [text]); });
    var body = spec.rows.map(function (row) {
      return made("tr", {}, row.map(function (text, k) {
        return k ? made("td", {}, [text]) : made("th", {scope: "row"}, [text]);
      }));
    });
    return made("div", {class: "scroll", role: "region", tabindex: "0", "aria-label": spec.caption + ": table"}, [
      made("table", {}, [
        made("caption", {}, [spec.caption]), made("thead", {}, [made("tr", {}, head)]), made("tbody", {}, body)
      ])
    ]);
  }
  // The number beside a slider follows its thumb, also while it is dragged and nothing is asked of the server yet.
  new MutationObserver(function (changes) {
    changes.forEach(function (change) {
      var field = change.target.closest(".slid");
      if (field) { field.querySelector("output").textContent = change.target.getAttribute("aria-valuenow"); }
    });
  }).observe(root, {subtree: true, attributeFilter: ["aria-valuenow"]});
  var own = window.dash_clientside = window.dash_clientside || {};
  own.kapsim = Object.assign({}, own.kapsim, {
    // Light or dark: what the system says until the reader says otherwise.
    scheme: function (wanted) {
      if (wanted === undefined || wanted === null) {
        wanted = window.matchMedia("(prefers-color-scheme: dark)").matches;
      }
      return [scheme(wanted), wanted];
    },
    // The state of the view into the address and the links; the page is not loaded again.
    remember: function (query) {
      if (!query) { return own.no_update; }
      var tail = "?" + query;
      window.history.replaceState(window.history.state, "", window.location.pathname + tail);
      [["protocol", "/export/protocol.yaml"], ["results", "/export/results.csv"], ["report", "/export/report.html"],
        ["link", window.location.pathname]].forEach(function (pair) {
        var link = document.getElementById("export-" + pair[0]);
        if (link) { link.setAttribute("href", pair[1] + tail); }
      });
      return own.no_update;
    },
    // Tables as they stand in the page's own data, by the id of what holds them; text alone, never markup.
    tables: function (tables) {
      Object.keys(tables || {}).forEach(function (id) {
        var box = document.getElementById(id), spec = tables[id];
        if (!box) { return; }
        box.replaceChildren();
        if (spec.problem) {
          box.append(made("p", {class: "notice", role: "alert"}, [spec.problem]));
        }
        if (spec.headings) { box.append(table(spec)); }
        if (spec.lines) {
          box.append(made("ul", {class: "soft"}, spec.lines.map(function (line) { return made("li", {}, [line]); })));
        }
      });
      return own.no_update;
    },
    // Only the fields that the route and the drug make use of.
    fields: function (route, drug) {
      var none = {display: "none"}, dosed = drug !== "none" && drug !== "control";
      var weight = ["iv", "im", "sc"].indexOf(route) >= 0;
      return [dosed && weight ? {} : none, dosed && !weight ? {} : none,
        drug !== "none" && route === "iv" ? {} : none];
    },
    // A mark of predicted against observed opens its record.
    open_record: function (clicked) {
      var point = clicked && clicked.points && clicked.points[0];
      if (!point || !point.text) { return own.no_update; }
      // the link to it in the table is what a reader without a mouse uses
      var links = Array.from(document.querySelectorAll("#predicted-shown table a"));
      var link = links.find(function (item) { return item.textContent === point.text; });
      if (link) { window.scrollTo(0, 0); link.click(); }
      return own.no_update;
    },
    title: function (path) {
      document.querySelectorAll("a.way").forEach(function (way) {
        if (way.getAttribute("href") === path) { way.setAttribute("aria-current", "page"); }
        else { way.removeAttribute("aria-current"); }
      });
      return "";
    }
  });
})();
