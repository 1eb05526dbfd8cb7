[...document.querySelectorAll("a, button, summary, input, select, textarea, [tabindex], [role=log], section, aside, img:not([alt=''])")]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.ariaLabel
    || (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent.trim()).join("")
    || [...(e.labels ?? [])].map((label) => label.textContent.trim()).join("")
    || ["A", "BUTTON", "SUMMARY", "MAIN", "H2"].includes(e.tagName) && e.textContent.trim()
    || e.alt))
  .map((e) => e.outerHTML.slice(0, 80))
