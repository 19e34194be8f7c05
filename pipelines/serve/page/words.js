// Edits in words: a line of text, what it was understood as, and examples.

import { make } from "./dom.js";

const EXAMPLES = ["older, with grey hair", "a big smile", "no glasses", "surprised", "much younger", "a beard and glasses"];

export class Words {
  // tell(text): resolves to the server's answer; undefined where there is none. Rejects with what the server says.
  constructor(form, edits, tell) {
    Object.assign(this, { form, edits, tell, said: form.querySelector("output") });
    form.querySelector(".examples").append(...EXAMPLES.map((text) => {
      const example = make("button", { type: "button", className: "small live", textContent: text, disabled: true });
      example.addEventListener("click", () => this.#read(text));
      return example;
    }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#read(form.elements.text.value.trim());
    });
  }

  async #read(text) {
    if (!text) return;
    this.form.elements.text.value = text;
    try {
      const answer = await this.tell(text);
      if (!answer) return;
      this.edits.took(answer.state.edits);
      this.#say([answer.understood, ...answer.notes].join(". "), false);
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #say(text, problem) {
    this.said.textContent = text;
    this.said.classList.toggle("problem", problem);
  }
}
