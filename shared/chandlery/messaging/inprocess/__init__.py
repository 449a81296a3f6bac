"""The bus within one process: same promises, but nothing outlives the process."""
