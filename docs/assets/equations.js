// Sets each equation's TeX in place of its text; without KaTeX, or where it fails, the text stays.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof katex === "undefined") return;
  for (const place of document.querySelectorAll(".equation")) {
    katex.render(place.dataset.tex, place, { displayMode: true, fleqn: true, throwOnError: false });
  }
});
