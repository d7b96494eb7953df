"""Only the test is collected: to import the stand-in would register its device with this process."""

collect_ignore = ["second_device.py", "work.py"]
