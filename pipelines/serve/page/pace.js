// Which pictures of a camera are sent, so that they come at a lower rate than the camera's, and evenly.

export class Pace {
  constructor(rate) {
    this.rate = rate;
    this.due = 0;
  }

  // Whether a picture at this time, in ms, is one of them.
  take(now) {
    const period = 1000 / this.rate;
    if (now < this.due - 4) return false; // cameras are early and late by some milliseconds
    this.due = Math.max(this.due + period, now - period);
    return true;
  }
}
