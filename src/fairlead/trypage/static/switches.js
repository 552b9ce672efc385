// A choice of one of a few: radio buttons in a fieldset.

// `entries` has the text of each value, the chosen one first; `chosen` is called with the value when that changes.
export function switches(fieldset, entries, chosen) {
  for (const [value, text] of Object.entries(entries)) {
    const label = document.createElement("label"), radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: fieldset.id, value, checked: value === Object.keys(entries)[0] });
    radio.addEventListener("change", () => chosen(value));
    label.append(radio, text);
    fieldset.append(label);
  }
}
