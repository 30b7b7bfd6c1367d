# bash completion for ringcached

_ringcached() {
	local word=${COMP_WORDS[COMP_CWORD]}
	local typed=("${COMP_WORDS[@]:0:COMP_CWORD}")
	if [[ $word == -* ]]; then
		typed+=("$word")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$("${typed[@]}" --generate-bash-completion 2>/dev/null)" -- "$word")
}

complete -o default -F _ringcached ringcached
