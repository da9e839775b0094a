/** A tower of blocks: each is dropped on the last one, and what hangs over falls off. */

const [WIDTH, BLOCK, HEIGHT, LEVEL] = [320, 120, 24, 5];

export class Tower {
  /** `tell` is called with what happens: a kind of event, its data, and a name if it is `Custom`. */
  constructor(canvas, tell) {
    this.canvas = canvas;
    this.tell = tell;
    this.playsItself = false;
    this.begin();
    requestAnimationFrame((now) => this.frame(now));
  }

  get height() {
    return this.blocks.length - 1;
  }

  get level() {
    return 1 + Math.floor(this.height / LEVEL);
  }

  begin() {
    this.blocks = [{ left: (WIDTH - BLOCK) / 2, width: BLOCK }];
    this.lift();
  }

  /** Have the next block slide in from one side. */
  lift() {
    const { width } = this.blocks.at(-1);
    this.sliding = { left: -width / 2, width, speed: 110 + 12 * this.level };
    this.target = this.blocks.at(-1).left + 10 * Math.random() - 5; // where it drops one itself
  }

  drop() {
    const below = this.blocks.at(-1);
    const { left, width } = this.sliding;
    const isStraight = Math.abs(left - below.left) < 4;
    const from = isStraight ? below.left : Math.max(left, below.left);
    const to = isStraight ? from + below.width : Math.min(left + width, below.left + below.width);
    if (to - from < 4) {
      this.tell("GameEnd", { level: this.level, score: this.height, reason: "missed" });
      this.begin();
      return;
    }
    this.blocks.push({ left: from, width: to - from });
    this.tell("Custom", { height: this.height, width: Math.round(to - from) }, "BlockPlaced");
    if (this.height % LEVEL === 0) this.tell("LevelCompleted", { level: this.level - 1, score: this.height });
    this.lift();
  }

  frame(now) {
    const seconds = Math.min(0.25, (now - (this.last ?? now)) / 1000);
    this.last = now;
    const block = this.sliding;
    const before = block.left - this.target;
    block.left += block.speed * seconds * (this.playsItself ? 3 : 1);
    if (this.playsItself && before * (block.left - this.target) < 0) {
      block.left = this.target;
      this.drop();
    }
    const [least, most] = [-block.width / 2, WIDTH - block.width / 2];
    if (block.left < least || block.left > most) {
      block.speed = -block.speed;
      block.left = Math.min(most, Math.max(least, block.left));
    }
    this.paint();
    requestAnimationFrame((next) => this.frame(next));
  }

  paint() {
    const paper = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    paper.setTransform(2, 0, 0, 2, 0, 0);
    paper.clearRect(0, 0, WIDTH, WIDTH);
    const shown = [...this.blocks, this.sliding].slice(-11);
    const first = this.blocks.length + 1 - shown.length;
    shown.forEach(({ left, width }, place) => {
      const isSliding = place === shown.length - 1;
      paper.fillStyle = style.getPropertyValue(`--c${(first + place) % 5}`);
      paper.fillRect(left, WIDTH - (place + 1 + (isSliding ? 0.6 : 0)) * (HEIGHT + 2), width, HEIGHT);
    });
  }
}
