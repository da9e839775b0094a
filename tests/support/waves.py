"""A real game's data, where it is beside the project."""

from tests import ROOT

PATH = ROOT.parent / "shared/data/waves_batches.ndjson.gz"
WAVES = '[{id="org.fielddaylab.waves",coins_enabled=true,reward_fixed_amount=10}]'
