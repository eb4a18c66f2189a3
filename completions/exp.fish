# fish quotes what it inserts.
complete --keep-order --exclusive --command exp --arguments "(EXP_COMPLETE=fish exp -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --cut-at-cursor --current-token))"
