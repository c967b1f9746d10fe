/* The console's own script: keys, live lists, one click that counts once. Without it every page still works.
   It sends nothing by itself: a key moves the focus, a person presses the button. */
(() => {
  "use strict";

  const root = document.documentElement;
  root.classList.add("scripted");

  const typing = (element) =>
    element instanceof HTMLElement &&
    (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName));

  const visible = (element) => element.checkVisibility();

  /* --- keys ------------------------------------------------------------------------------------- */

  let afterG = 0;

  const go = (key) => {
    const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
    if (link) link.click();
    return Boolean(link);
  };

  const walk = (step) => {
    const items = [...document.querySelectorAll("[data-list] [data-item]")].filter(visible);
    if (!items.length) return false;
    const at = items.findIndex((item) => item === document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + step));
    items[next].focus();
    items[next].scrollIntoView({ block: "nearest" });
    return true;
  };

  const focusForm = (key) => {
    const part = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!part) return false;
    const folded = part.closest("details") || part.querySelector("details") || (part.tagName === "DETAILS" ? part : null);
    if (folded) folded.open = true;
    const field = [...part.querySelectorAll("textarea, input:not([type=hidden]), select, button, a.button")].find(
      (one) => visible(one) && !one.disabled,
    );
    (field || part).focus();
    part.scrollIntoView({ block: "nearest" });
    return true;
  };

  const showKeys = () => {
    const dialog = document.getElementById("keys");
    if (dialog && !dialog.open) dialog.showModal();
    return Boolean(dialog);
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing(event.target)) {
      event.target.blur();
      return;
    }
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    let used = false;
    if (afterG && event.timeStamp - afterG < 1500) {
      afterG = 0;
      used = go(event.key);
    } else if (event.key === "g") {
      afterG = event.timeStamp;
      used = true;
    } else if (event.key === "j" || event.key === "k") {
      used = walk(event.key === "j" ? 1 : -1);
    } else if (event.key === "?") {
      used = showKeys();
    } else if (/^[aedrw]$/.test(event.key)) {
      used = focusForm(event.key);
    }
    if (used) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-keys]")) showKeys();
  });

  /* --- one click counts once ----------------------------------------------------------------------- */

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method === "dialog" || form.method === "get") return;
    if (form.dataset.sent) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
  }, true);

  const reopen = (within) => {
    for (const form of within.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
    }
  };
  // Coming back by the browser's own button shows the page as it was left, its forms spent.
  window.addEventListener("pageshow", () => reopen(document));
  document.addEventListener("htmx:after:request", () => reopen(document));

  /* --- a one-time link: its secret stands behind the #, and goes nowhere until somebody presses the button ------- */

  const secret = document.querySelector("[data-secret]");
  if (secret && location.hash.startsWith("#tgt_")) {
    secret.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
    secret.form.querySelector("button").focus();
  }

  /* --- what is marked as all ------------------------------------------------------------------------- */

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement)) return;
    if (box.dataset.all) {
      for (const one of document.querySelectorAll(`input[type=checkbox][name="${CSS.escape(box.dataset.all)}"]`)) {
        one.checked = box.checked;
      }
    }
    if (box.form && box.form.matches("[data-apply]")) box.form.requestSubmit();
  });
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field instanceof HTMLSelectElement && field.form && field.form.matches("[data-apply]")) field.form.requestSubmit();
  });

  /* --- live ------------------------------------------------------------------------------------------ */

  const lists = () => [...document.querySelectorAll("[data-live]")];
  const marks = (on, words) => {
    for (const mark of document.querySelectorAll(".live")) {
      mark.classList.toggle("on", on);
      mark.textContent = words;
    }
  };

  let reading = false;
  let again = false;

  const refresh = async () => {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      for (const list of lists()) {
        const items = () => [...list.querySelectorAll("[data-item]")];
        const held = list.contains(document.activeElement) ? document.activeElement : null;
        const place = held ? items().indexOf(held) : -1;
        await window.htmx.ajax("GET", list.dataset.live, { target: list, swap: "innerMorph", source: list });
        if (held && document.activeElement !== held) {
          // Its row is gone or was made anew: whoever walks the list goes on where they were.
          const now = items();
          const same = now.find((item) => item.dataset.item === held.dataset.item);
          const next = same || now[Math.min(Math.max(place, 0), now.length - 1)];
          if (next) next.focus();
        }
        const title = list.querySelector("[data-title]");
        if (title) document.title = title.dataset.title;
        const count = document.getElementById("waiting-count");
        if (count && title && title.dataset.count !== undefined) {
          count.firstChild.textContent = title.dataset.count;
          count.classList.toggle("some", title.dataset.count !== "0");
          for (const tab of document.querySelectorAll(".tabs .count")) tab.textContent = title.dataset.count;
        }
      }
    } finally {
      reading = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  };

  if (lists().length && window.EventSource) {
    // What moves without a record, such as a bar, is only looked at for a page that shows it.
    const moving = document.querySelector("[data-moving]");
    const stream = new EventSource(moving ? "/console/events?moving=jobs" : "/console/events");
    let soon = 0;
    const changed = () => {
      // What follows does not put it off: on a busy gate something always does.
      soon ||= setTimeout(() => {
        soon = 0;
        refresh();
      }, 200);
    };
    // Each stream begins with a "changed", also one that was lost and found again.
    stream.addEventListener("open", () => marks(true, "Live"));
    stream.addEventListener("error", () => {
      // Closed for good: the session ended, or too many pages are open. What is typed on the page stays.
      marks(false, stream.readyState === EventSource.CLOSED ? "Not live: load this page again" : "Reconnecting");
    });
    stream.addEventListener("changed", changed);
    window.addEventListener("pagehide", () => stream.close());
  }
})();
