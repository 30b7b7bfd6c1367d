# zsh -f complete.zsh found|read LINES RESULT: completes each line of the file LINES in an interactive zsh. RESULT gets, for each, the line that comes of
# it, and a line with the words that were offered. The script of completion is found by zsh in its folder, or read by the shell.
scripts=../../docs/completion
if [[ ! -o interactive ]]; then
	zmodload zsh/zpty || exit
	export HOW=$1 LINES_FILE=$2 RESULT=$3
	zpty shell zsh -f -i || exit
	zpty -w shell ". $0"
	while zpty -r shell said; do :; done
	[[ -e $RESULT ]]
	exit
fi

[[ $HOW != found ]] || fpath=($PWD/$scripts $fpath)
autoload -Uz compinit && compinit -u -D
[[ $HOW != read ]] || . $scripts/_ringcached
unsetopt list_beep
todo=("${(@f)$(<$LINES_FILE)}")

# compadd notes what is offered.
compadd() {
	local -a matches
	builtin compadd -O matches "$@"
	offered+=("${matches[@]}")
	builtin compadd "$@"
}

# Whenever the shell begins to read a line it has the next one to complete, and then goes on to the one after that.
zle-line-init() {
	((${#todo})) || exit
	offered=() BUFFER=${todo[1]} CURSOR=${#todo[1]}
	zle complete-word
	print -r -- "$BUFFER" >>$RESULT
	print -r -- "${(j: :)offered}" >>$RESULT
	shift todo
	BUFFER=
	zle accept-line
}
zle -N zle-line-init
