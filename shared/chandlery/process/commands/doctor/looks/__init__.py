"""What is looked at: each module has the checks of one section, asks, and leaves the judgement to `verdicts`."""
