# What to insert is quoted by exp, so it is taken as it is, without globbing or splitting. The whole line is
# handed over, because COMP_WORDS breaks at every ':' and '='.
_exp() {
    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <(EXP_COMPLETE=bash exp -- "${COMP_LINE:0:COMP_POINT}" "$2" 2> /dev/null)
    if [[ ${COMPREPLY-} == *[=/:] ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -o bashdefault -o nosort -F _exp exp 2> /dev/null || complete -o bashdefault -F _exp exp
