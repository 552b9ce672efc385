// Keeps the parts of a page that are marked with data-live up to date. Without it the page is whole, and stays as it is.
"use strict";

(() => {
  const EVERY_MS = 3000;
  const stale = document.getElementById("stale");
  const live = () => [...document.querySelectorAll("[data-live][id]")];
  let goodAt = new Date();

  function tell(text) {
    stale.hidden = !text;
    if (stale.textContent !== text) stale.textContent = text;
  }

  // On a phone each row of a table is a card: its cells then say what they are.
  function name(part) {
    for (const table of part.querySelectorAll("table:not(.matrix)")) {
      const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
      for (const row of table.tBodies[0].rows) {
        let place = 0;
        for (const cell of row.cells) {
          cell.dataset.name = heads[place] || "";
          place += cell.colSpan;
        }
      }
      table.classList.add("named");
    }
  }

  function replace(page) {
    for (const part of live()) {
      const next = page.getElementById(part.id);
      if (next) name(next);
      if (!next || next.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
      const scrolled = [...part.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      part.replaceChildren(...document.importNode(next, true).childNodes);
      part.querySelectorAll(".scroll").forEach((box, place) => box.scrollTo(...(scrolled[place] || [0, 0])));
      part.querySelectorAll("details").forEach((one, place) => { one.open = open[place] ?? one.open; });
    }
  }

  async function refresh() {
    try {
      const answer = await fetch(location.href, {
        headers: { "x-fairlead-live": "1" },
        signal: AbortSignal.timeout(15000),
      });
      if (answer.status === 401) {
        tell("You are signed out. Reload the page to sign in again.");
        return false;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      goodAt = new Date();
      tell("");
    } catch {
      tell(`Not up to date since ${goodAt.toISOString().slice(11, 19)} UTC: the console does not answer.`);
    }
    return true;
  }

  async function follow() {
    if (document.hidden || (await refresh())) setTimeout(follow, EVERY_MS);
  }

  name(document);
  if (live().length) setTimeout(follow, EVERY_MS);
})();
