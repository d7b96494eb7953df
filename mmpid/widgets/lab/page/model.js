// The solvable model of mmpid.theory: worlds, gradient descent, what each modality discovers, and the test error.
// `MODEL` holds the settings of the Python package; the page writes it in front of this file.

const single = Math.fround;

/** Amplitudes (2, K) of the dictionary, log-normal around 1. */
function amplitudes(world, random) {
  const k = world.classes, shift = single(Math.log(single(world.ratio))), drawn = random.normal(2 * k);
  return drawn.map((value, i) => single(Math.exp(single(single(single(MODEL.amplitude_spread) * value) + (i < k ? 0 : shift)))));
}

/**
 * Samples in class order: `inputs` (2, n, d), `own` (2, n) the size of the own class. `pattern` fixes which modalities
 * are insufficient; without it the rate does.
 */
function draw(world, amplitude, perClass, random, pattern = null) {
  const { classes: k, dims: d } = world, n = k * perClass, inputs = new Float64Array(2 * n * d), own = new Float64Array(2 * n);
  const chance = random.uniform(2 * n), active = random.uniform(2 * n * k), clutter = random.uniform(2 * n * k);
  const keys = random.uniform(2 * n * k), sizes = random.uniform(2 * n), noise = random.normal(2 * n * d);
  const rate = single(world.rate), busy = single(Math.min(MODEL.clutter_rate / k, 1)), count = Math.min(MODEL.n_confusers, k - 1);
  for (let r = 0; r < 2; r++) {
    for (let i = 0; i < n; i++) {
      const at = r * n + i, target = Math.floor(i / perClass), lacks = pattern ? pattern[r] : chance[at] < rate;
      const others = [...Array(k).keys()].filter((c) => c !== target).sort((a, b) => keys[at * k + b] - keys[at * k + a]).slice(0, count);
      const confused = new Set(lacks ? others : []);
      own[at] = lacks ? single(MODEL.gamma) : single(1 + single(0.5 * sizes[at]));
      for (let j = 0; j < d; j++) {
        let latent = 0;
        if (j < k) {
          latent = active[at * k + j] < busy ? single(single(MODEL.clutter_size) * clutter[at * k + j]) : 0;
          if (confused.has(j)) latent = single(MODEL.rho);
          if (j === target) latent = own[at];
          latent = single(latent * amplitude[r * k + j]);
        }
        inputs[at * d + j] = single(single(single(MODEL.noise) * noise[at * d + j]) + latent);
      }
      own[at] *= amplitude[r * k + target];
    }
  }
  return { inputs, own, n, perClass };
}

/** Add up the activations of each class's neurons: logits (2, K, n); `slope` (2, K m, n) is filled if given. */
function logits(world, weights, samples, slope = null) {
  const { classes: k, dims: d, neurons: m } = world, { inputs, n } = samples, found = new Float64Array(2 * k * n);
  for (let r = 0; r < 2; r++) {
    for (let j = 0; j < k * m; j++) {
      const row = (r * k * m + j) * d, out = (r * k + Math.floor(j / m)) * n, into = (r * k * m + j) * n;
      for (let i = 0; i < n; i++) {
        const from = (r * n + i) * d;
        let v = 0;
        for (let c = 0; c < d; c++) v += weights[row + c] * inputs[from + c];
        const bent = v < 0 ? 0 : v > 1 ? 1 : v, squared = bent * bent;
        found[out + i] += MODEL.beta * ((v > 1 ? v - 1 : 0) + (squared * bent) / MODEL.q);
        if (slope) slope[into + i] = squared;
      }
    }
  }
  return found;
}

/** What is wrong with each class's share of the answer, (2, K, n); modalities that wait have nothing to correct. */
function residual(world, values, samples, joint, trained) {
  const { classes: k } = world, { n, perClass } = samples, found = new Float64Array(2 * k * n), shares = new Float64Array(k);
  for (let r = 0; r < 2; r++) {
    if (!trained[r]) continue;
    for (let i = 0; i < n; i++) {
      let top = -Infinity, sum = 0;
      for (let c = 0; c < k; c++) {
        shares[c] = joint ? values[c * n + i] + values[(k + c) * n + i] : values[(r * k + c) * n + i];
        if (shares[c] > top) top = shares[c];
      }
      for (let c = 0; c < k; c++) sum += shares[c] = Math.exp(shares[c] - top);
      for (let c = 0; c < k; c++) found[(r * k + c) * n + i] = shares[c] / sum - (c === Math.floor(i / perClass) ? 1 : 0);
    }
  }
  return found;
}

/** One step of full-batch gradient descent, in place. */
function descend(world, weights, samples, joint, trained, slope) {
  const { classes: k, dims: d, neurons: m } = world, { inputs, n } = samples;
  const wrong = residual(world, logits(world, weights, samples, slope), samples, joint, trained);
  const rate = (MODEL.eta * k) / (MODEL.beta * n), gradient = new Float64Array(d);
  for (let r = 0; r < 2; r++) {
    if (!trained[r]) continue;
    for (let j = 0; j < k * m; j++) {
      const row = (r * k * m + j) * d, out = (r * k + Math.floor(j / m)) * n, into = (r * k * m + j) * n;
      gradient.fill(0);
      for (let i = 0; i < n; i++) {
        const pull = slope[into + i] * wrong[out + i];
        if (!pull) continue;
        const from = (r * n + i) * d;
        for (let c = 0; c < d; c++) gradient[c] += pull * inputs[from + c];
      }
      for (let c = 0; c < d; c++) weights[row + c] -= rate * gradient[c];
    }
  }
}

/** Lambda (K, 2): the largest positive product of a class's neurons with its own dictionary column. */
function leading(world, weights) {
  const { classes: k, dims: d, neurons: m } = world, found = new Float64Array(2 * k);
  for (let r = 0; r < 2; r++) {
    for (let c = 0; c < k; c++) {
      for (let l = 0; l < m; l++) found[2 * c + r] = Math.max(found[2 * c + r], MODEL.beta * weights[(r * k * m + c * m + l) * d + c]);
    }
  }
  return found;
}

/** Whether the oracle ends stage 1. */
function isShaped(world, lambda, amplitude) {
  const k = world.classes, of = (r) => Array.from({ length: k }, (_, c) => lambda[2 * c + r]);
  const strong = (r) => of(r).every((value) => value > MODEL.shaped_level);
  if (world.schedule === "one-shaped") return strong(0);
  const votes = [0, 1].map((r) => of(r).map((value, c) => value * amplitude[r * k + c]));
  const outvoted = [0, 1].some((r) => MODEL.rho * Math.max(...votes[r]) > MODEL.mean_size * Math.min(...votes[1 - r]));
  return strong(0) && strong(1) && !outvoted;
}

/** First time at which Lambda of a class and modality reaches beta, interpolated; infinity if never. */
function crossing(path, at) {
  for (let step = 0; step < path.length; step++) {
    if (path[step][at] < MODEL.beta) continue;
    if (step === 0) return 0;
    return step - 1 + (MODEL.beta - path[step - 1][at]) / (path[step][at] - path[step - 1][at]);
  }
  return Infinity;
}

/** Test error (4) given what is insufficient: neither, modality 2, modality 1, both. */
function testError(world, weights, amplitude) {
  const { classes: k } = world, random = new Random(world.seed + 1000003), perClass = Math.max(1, Math.floor(MODEL.n_test / k));
  return [[false, false], [false, true], [true, false], [true, true]].map((pattern) => {
    const samples = draw(world, amplitude, perClass, random, pattern), { n } = samples, values = logits(world, weights, samples);
    let wrong = 0;
    for (let i = 0; i < n; i++) {
      let best = 0, top = -Infinity;
      for (let c = 0; c < k; c++) {
        const vote = values[c * n + i] + values[(k + c) * n + i];
        if (vote > top) [best, top] = [c, vote];
      }
      if (best !== Math.floor(i / perClass)) wrong++;
    }
    return wrong / n;
  });
}

/** What the settings of the page mean for the model. */
function worldOf(knobs) {
  const classes = knobs.k, rate = Math.min(1, knobs.c / (knobs.rate === "constant" ? MODEL.reference_classes : classes));
  return { classes, rate, neurons: MODEL.n_neurons, dims: classes + MODEL.noise_dims, ratio: knobs.ratio, scale: knobs.s0,
    schedule: knobs.schedule, shaping: knobs.schedule === "joint" || knobs.stage1 === "oracle" ? null : Number(knobs.stage1), steps: knobs.steps, seed: knobs.seed };
}

/** Simulate one world, a step a turn; yields the share that is done and returns what there is to see. */
function* simulate(knobs) {
  const world = worldOf(knobs), { classes: k } = world, random = new Random(world.seed), amplitude = amplitudes(world, random);
  const samples = draw(world, amplitude, MODEL.n_train, random), scale = single(world.scale / MODEL.beta);
  const weights = random.normal(2 * k * world.neurons * world.dims).map((value) => single(scale * value));
  const strengths = new Float64Array(2 * k), slope = new Float64Array(2 * k * world.neurons * samples.n);
  for (let r = 0; r < 2; r++) for (let i = 0; i < samples.n; i++) strengths[2 * Math.floor(i / MODEL.n_train) + r] += samples.own[r * samples.n + i] ** MODEL.q / MODEL.n_train;
  const path = [], joint = world.schedule === "joint", margin = world.schedule === "two-stage-margin" ? MODEL.margin_steps : 0;
  let handOver = -1, shaped = -1;
  for (let step = 0; ; step++) {
    const lambda = leading(world, weights);
    path.push(lambda);
    if (handOver < 0 && !joint && world.shaping === null && shaped < 0 && isShaped(world, lambda, amplitude)) shaped = step;
    const limit = world.shaping ?? MODEL.max_shaping_steps;
    if (handOver < 0 && (joint || step >= limit || (world.shaping === null && shaped >= 0 && step >= shaped + margin))) handOver = step;
    if (step >= world.steps) break;
    descend(world, weights, samples, handOver >= 0, [true, world.schedule !== "one-shaped" || handOver >= 0], slope);
    yield step / world.steps;
  }
  return seen(world, { path, strengths, handOver: joint ? null : handOver < 0 ? null : handOver, strata: testError(world, weights, amplitude) });
}

/** ECS and the times it predicts, who has each class, and the test error, from what a simulation left. */
function seen(world, { path, strengths, handOver, strata }) {
  const k = world.classes, kappa = (MODEL.eta * (1 - 1 / k)) / MODEL.beta ** (MODEL.q - 1), p = MODEL.q - 2, pairs = (of) => Array.from({ length: k }, (_, c) => [of(2 * c), of(2 * c + 1)]);
  const ecs = pairs((i) => path[0][i] * strengths[i] ** (1 / p)), times = pairs((i) => crossing(path, i));
  const expected = pairs((i) => Math.max(0, (path[0][i] ** -p - MODEL.beta ** -p) / p / (kappa * strengths[i])));
  const predicted = ecs.map(([one, two]) => (two > one ? 1 : 0));
  const kept = times.map((pair) => { const has = pair.map(Number.isFinite); return has[0] && has[1] ? 2 : has[0] ? 0 : has[1] ? 1 : -1; });
  const mu = world.rate, shares = [(1 - mu) ** 2, (1 - mu) * mu, mu * (1 - mu), mu ** 2];
  return { world, ecs, times, expected, predicted, kept, handOver, strata, shares, error: strata.reduce((sum, one, i) => sum + one * shares[i], 0), path };
}

/** Simulate without a pause; for tests, and for whoever reads along in the console. */
function simulateNow(knobs) {
  const run = simulate(knobs);
  for (;;) { const { done, value } = run.next(); if (done) return value; }
}
