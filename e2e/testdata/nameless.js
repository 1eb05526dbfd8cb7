[...document.querySelectorAll("a, button, input, [tabindex], [role=log], section, aside, img:not([alt=''])")]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.ariaLabel
    || (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent.trim()).join("")
    || [...(e.labels ?? [])].map((label) => label.textContent.trim()).join("")
    || e.tagName === "BUTTON" && e.textContent.trim()
    || e.alt))
  .map((e) => e.outerHTML.slice(0, 80))
