#compdef ringcached

_ringcached() {
	local -a typed options
	typed=("${(@)words[1,CURRENT-1]}")
	if [[ ${words[CURRENT]} == -* ]]; then
		typed+=("${words[CURRENT]}")
	fi
	options=("${(@f)$("${typed[@]}" --generate-bash-completion 2>/dev/null)}")
	if [[ -n ${options[1]} ]]; then
		compadd -- "${options[@]}"
	else
		_files
	fi
}

compdef _ringcached ringcached
