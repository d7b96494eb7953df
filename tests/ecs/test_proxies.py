from mmpid import ecs


def test_default_proxies_are_on_offer():
    assert set(ecs.DEFAULT_PROXIES) <= set(ecs.available())
