#compdef ringcached

_ringcached() {
	local -a typed options
	# The program is asked with the flag that is being typed, or with an empty word for anything else.
	typed=("${(@)words[1,CURRENT]}")
	if [[ ${words[CURRENT]} != -* ]]; then
		typed[CURRENT]=''
	fi
	options=("${(@f)$("${(@)typed}" --generate-bash-completion 2>/dev/null)}")
	if [[ -z ${options[1]} ]]; then
		_files
		return
	fi
	if [[ $PREFIX == --*=* ]]; then
		compset -P '--*='
	fi
	compset -P '*,'
	compadd -S '' -- "${(@M)options:#*=}"
	compadd -- "${(@)options:#*=}"
}

# zsh runs this file as the function when it completes for the first time; where the file was read with source it is told of the function.
if [[ ${funcstack[1]} == _ringcached ]]; then
	_ringcached "$@"
else
	compdef _ringcached ringcached
fi
