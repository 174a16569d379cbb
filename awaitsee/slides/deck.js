// Fits the slides, starts reveal.js, and opens what is folded.
"use strict";

// Prose of 28 px and code of 21 px become no smaller than 24 and 18.
const FLOOR = 6 / 7;

function overflows(page) {
  const body = page.querySelector(".body");
  const end = page.getBoundingClientRect().top + 720 - 44;
  const right = page.getBoundingClientRect().left + 1280 - 40;
  if (body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1) return true;
  return [...body.querySelectorAll(".piece, table, img, pre")].some((each) => {
    const box = each.getBoundingClientRect();
    return box.bottom > end + 1 || box.right > right + 1;
  });
}

// Build time estimates what fits with a font that it does not know; here it is seen, with everything unfolded.
function fitAll() {
  document.body.classList.add("measuring");
  const folded = [...document.querySelectorAll(".page details")];
  for (const each of folded) each.open = true;
  for (const page of document.querySelectorAll(".page")) {
    let low = FLOOR;
    if (!overflows(page)) continue;
    page.style.setProperty("--fit", low);
    page.dataset.fit = low;
    if (overflows(page)) {
      page.dataset.over = "yes";
      continue;
    }
    let high = 1;
    while (high - low > 0.01) {
      const middle = (low + high) / 2;
      page.style.setProperty("--fit", middle);
      if (overflows(page)) high = middle;
      else low = middle;
    }
    page.style.setProperty("--fit", low);
    page.dataset.fit = low.toFixed(3);
  }
  const printing = /print-pdf|view=print/i.test(location.search);
  for (const each of folded) each.open = printing;
  document.body.classList.remove("measuring");
}

// In the capture phase: a key that folds or unfolds must not turn the slide as well.
window.addEventListener(
  "keydown",
  (event) => {
    const summary = event.target instanceof Element && event.target.closest("summary");
    if (summary && (event.key === " " || event.key === "Enter")) {
      event.stopPropagation();
      return;
    }
    if (event.key !== "Enter" || event.target !== document.body || Reveal.isOverview() || Reveal.isPaused()) return;
    const all = [...Reveal.getCurrentSlide().querySelectorAll("details")];
    const next = all.find((each) => !each.open);
    if (next) next.open = true;
    else for (const each of all) each.open = false;
    if (all.length) event.stopPropagation();
  },
  true,
);
// After a click the keys belong to the slides again.
window.addEventListener("click", (event) => {
  const summary = event.target instanceof Element && event.target.closest("summary");
  if (summary && event.detail > 0) summary.blur();
});

fitAll();
Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0,
  minScale: 0.1,
  maxScale: 6,
  center: false,
  controls: false,
  progress: true,
  slideNumber: "c/t",
  hash: true,
  navigationMode: "linear",
  transition: "none",
  backgroundTransition: "none",
  scrollActivationWidth: null,
  pdfSeparateFragments: false,
  pdfMaxPagesPerSlide: 1,
  plugins: [RevealNotes],
});
