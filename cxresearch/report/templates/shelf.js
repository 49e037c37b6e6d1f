(function () {
  var box = document.getElementById("search"), told = document.getElementById("told");
  var rows = Array.prototype.slice.call(document.querySelectorAll("[data-search]"));
  document.getElementById("finder").hidden = false;
  function look() {
    var words = box.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    rows.forEach(function (row) {
      var text = row.getAttribute("data-search");
      row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      shown += row.hidden ? 0 : 1;
    });
    Array.prototype.forEach.call(document.querySelectorAll("section.edition"), function (section) {
      section.hidden = words.length > 0 && !section.querySelector("[data-search]:not([hidden])");
    });
    told.textContent = words.length ? shown + " of " + rows.length + " reports" : "";
  }
  box.addEventListener("input", look);
  box.addEventListener("keydown", function (event) {
    if (event.key === "Escape") { box.value = ""; look(); }
  });
  look();
})();
