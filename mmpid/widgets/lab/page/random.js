// The random numbers of PyTorch's generator on the CPU, so that a seed means the same world here as in Python: the
// Mersenne Twister, 24 bits a uniform number, and Box-Muller in blocks of sixteen.

const TWIST = 397, STATE = 624, BLOCK = 16;

class Random {
  constructor(seed) {
    this.state = new Uint32Array(STATE);
    this.state[0] = seed >>> 0;
    for (let i = 1; i < STATE; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = (Math.imul(1812433253, last) + i) >>> 0;
    }
    this.next = STATE;
  }

  twist() {
    const { state } = this;
    for (let i = 0; i < STATE; i++) {
      const both = (state[i] & 0x80000000) | (state[(i + 1) % STATE] & 0x7fffffff);
      state[i] = state[(i + TWIST) % STATE] ^ (both >>> 1) ^ (both & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  bits() {
    if (this.next === STATE) this.twist();
    let word = this.state[this.next++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  /** A number in [0, 1) with 53 bits. */
  double() {
    const high = this.bits() & 0x1fffff, low = this.bits();
    return (high * 2 ** 32 + low) / 2 ** 53;
  }

  /** `n` numbers in [0, 1) with 24 bits each. */
  uniform(n) {
    const found = new Float64Array(n);
    for (let i = 0; i < n; i++) found[i] = (this.bits() & 0xffffff) / 2 ** 24;
    return found;
  }

  /** `n` standard normal numbers, in single precision. */
  normal(n) {
    if (n < BLOCK) return this.fewNormal(n);
    const found = this.uniform(n);
    const turn = (start) => {
      for (let i = start; i < start + BLOCK / 2; i++) {
        const radius = Math.sqrt(-2 * Math.log(1 - found[i])), angle = 2 * Math.PI * found[i + BLOCK / 2];
        found[i] = Math.fround(radius * Math.cos(angle));
        found[i + BLOCK / 2] = Math.fround(radius * Math.sin(angle));
      }
    };
    for (let start = 0; start + BLOCK <= n; start += BLOCK) turn(start);
    if (n % BLOCK) { // the last block is drawn anew
      found.set(this.uniform(BLOCK), n - BLOCK);
      turn(n - BLOCK);
    }
    return found;
  }

  fewNormal(n) {
    const found = new Float64Array(n);
    for (let i = 0; i < n; i += 2) {
      const first = this.double(), radius = Math.sqrt(-2 * Math.log1p(-this.double())), angle = 2 * Math.PI * first;
      found[i] = Math.fround(radius * Math.cos(angle));
      if (i + 1 < n) found[i + 1] = Math.fround(radius * Math.sin(angle));
    }
    return found;
  }
}
