complete --keep-order --exclusive --command exp --arguments "(EXP_COMPLETE=fish exp -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
