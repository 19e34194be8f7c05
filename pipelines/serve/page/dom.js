// Elements by id, and new ones.

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// A file for the user. Returns the link that was clicked.
export function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name, textContent: name });
  link.click();
  return link;
}
