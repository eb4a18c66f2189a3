
set edit:completion:arg-completer[exp] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) EXP_COMPLETE="elvish" exp -- $@words) | to-lines
}

