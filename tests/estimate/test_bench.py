from mmpid.bench import estimate as bench


def test_benchmark_prints_times_and_spreads():
    text = bench.run(n_samples=300, repeats=1, n_probes=3)
    assert "k-means 20 x 20, no replicates" in text
    assert "warm start" in text
    assert "ratio" in text
