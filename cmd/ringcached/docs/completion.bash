# bash completion for ringcached

_ringcached() {
	local typed=() word last head i
	# Where bash splits words at "=", put them together again.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		if ((i > 1)) && [[ ${COMP_WORDS[i]} == = || ${COMP_WORDS[i - 1]} == = ]]; then
			typed[-1]+=${COMP_WORDS[i]}
		else
			typed+=("${COMP_WORDS[i]}")
		fi
	done
	# The program is asked with the flag that is being typed, or with an empty word for anything else.
	word=${typed[-1]}
	last=${word##*,}
	if [[ $word == --*=* ]]; then
		last=${last#--*=}
	elif [[ $word != -* ]]; then
		typed[-1]=''
		[[ $last != *=* ]] || return # the value of an option of -o
	fi
	head=${word%"$last"}
	[[ $COMP_WORDBREAKS == *=* ]] && head=${head##*=}
	mapfile -t COMPREPLY < <(compgen -P "$head" -W "$("${typed[@]}" --generate-bash-completion 2>/dev/null)" -- "$last")
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then
		compopt -o nospace
	fi
}

complete -o default -F _ringcached ringcached
