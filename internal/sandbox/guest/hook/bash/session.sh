# Gives the bash of a session's run the state of the earlier runs, and stores the state
# when the run ends.
#
# Each run of a session is a new bash process. The agent sets BASH_ENV to this file, so
# bash executes it before the program. The state is a file of shell commands in the home
# directory. There are two such files: each run replaces the older one, so one file is
# complete even if the disk is full.
#
# The program can damage its own state, but nothing else: it is not the source of the exit
# status, and no later command of the agent depends on the state.
#
# A program may redefine builtins, aliases, options and traps. So everything here is one
# compound command, which bash parses before it restores the state. Functions call
# builtins through the command "builtin".
{
	unset BASH_ENV
	__pyth_on_file=/home/sandbox/.pyth-on-shell. __pyth_on_number=0 __pyth_on_pid=$BASHPID __pyth_on_exit=
	# Variables that belong to one bash process.
	__pyth_on_own=' BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_EXECUTION_STRING BASH_LINENO BASH_REMATCH BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO BASH_VERSION DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD IFS LINENO PIPESTATUS POSIXLY_CORRECT PPID PWD RANDOM SECONDS SHELLOPTS SHLVL SRANDOM UID _ '

	# given contains the environment of this run. A variable of the environment becomes a
	# part of the state only if the program changes it.
	declare -A __pyth_on_given=()
	mapfile -t -d '' __pyth_on_names < /proc/self/environ
	for __pyth_on_n in "${__pyth_on_names[@]}"; do
		__pyth_on_given[${__pyth_on_n%%=*}]=${__pyth_on_n#*=}
	done
	unset '__pyth_on_given[BASH_ENV]'

	# Read the newer complete file. The last line of a complete file contains the number
	# of the file.
	__pyth_on_state=
	for __pyth_on_n in 0 1; do
		[[ -f $__pyth_on_file$__pyth_on_n && -r $__pyth_on_file$__pyth_on_n ]] || continue
		IFS= read -r -d '' __pyth_on_names < "$__pyth_on_file$__pyth_on_n"
		__pyth_on_l=${__pyth_on_names##*$'\n# end '}
		__pyth_on_l=${__pyth_on_l%$'\n'}
		if [[ $__pyth_on_l =~ ^[1-9][0-9]{0,14}$ && $__pyth_on_l -gt $__pyth_on_number ]]; then
			__pyth_on_number=$__pyth_on_l __pyth_on_state=$__pyth_on_names
		fi
	done
	# The state sets these two variables, and calls `builtin` for everything else.
	__pyth_on_options=$SHELLOPTS __pyth_on_status=0 __pyth_on_usual=$BASHOPTS
	unset __pyth_on_l __pyth_on_n __pyth_on_names
	{
		builtin eval "$__pyth_on_state"
		builtin unset __pyth_on_state

		# save writes the state. Descriptor 3 is the standard error of the program.
		__pyth_on_save() {
			# Changed options apply only in this function.
			builtin local - "__pyth_on_ifs=$IFS" IFS=' ' __pyth_on_l __pyth_on_n __pyth_on_names "__pyth_on_o=$BASHOPTS"
			builtin set +efuvxCET +o posix
			builtin shopt -u nocasematch
			__pyth_on_number=$((__pyth_on_number + 1))
			__pyth_on_n=$__pyth_on_file$((__pyth_on_number % 2))
			# The program may have put a link or a device at the path.
			[[ ! -L $__pyth_on_n && ( ! -e $__pyth_on_n || -f $__pyth_on_n ) ]] &&
				builtin compgen -v > "$__pyth_on_n" && builtin mapfile -t __pyth_on_names < "$__pyth_on_n" && __pyth_on_write > "$__pyth_on_n" ||
				builtin printf '%s\n' 'The state of the shell was not saved: the home directory is not writable, or the disk is full.' >&3
		}

		# write prints the state. Aliases and functions come last, because they can change the
		# meaning of the commands that restore the other parts.
		__pyth_on_write() {
			builtin printf '__pyth_on_options=%q __pyth_on_status=%q\n' "$__pyth_on_set" "$__pyth_on_status"
			for __pyth_on_l in ${__pyth_on_o//:/ }; do
				[[ $__pyth_on_l == @(expand_aliases|login_shell|restricted_shell) ]] || builtin printf 'shopt -s %s\n' "$__pyth_on_l"
			done
			for __pyth_on_l in ${__pyth_on_usual//:/ }; do
				[[ :$__pyth_on_o: == *":$__pyth_on_l:"* ]] || builtin printf 'shopt -u %s\n' "$__pyth_on_l"
			done
			builtin printf 'cd -- %q\n' "$PWD"
			builtin umask -p
			builtin printf 'IFS=%q\n' "$__pyth_on_ifs"
			for __pyth_on_n in "${__pyth_on_names[@]}"; do
				[[ $__pyth_on_n == __pyth_on_* || $__pyth_on_own == *" $__pyth_on_n "* ]] && continue
				# The environment of a later run may also set this variable. Its value
				# replaces the value in the state, unless the environment of this run set
				# the same value and the program changed it.
				if [[ ! -v __pyth_on_given[$__pyth_on_n] ]]; then
					builtin printf '[[ -v __pyth_on_given[%s] ]] || ' "$__pyth_on_n"
				elif [[ -v $__pyth_on_n && ${!__pyth_on_n} == "${__pyth_on_given[$__pyth_on_n]}" && ${!__pyth_on_n@a} == x ]]; then
					continue
				else
					builtin printf '[[ -v __pyth_on_given[%s] && ${__pyth_on_given[%s]} != %q ]] || ' "$__pyth_on_n" "$__pyth_on_n" "${__pyth_on_given[$__pyth_on_n]}"
				fi
				builtin declare -p -- "$__pyth_on_n"
			done
			builtin trap -p
			builtin export -fp
			builtin declare -f
			builtin alias -p
			[[ :$__pyth_on_o: == *:expand_aliases:* ]] && builtin printf 'builtin shopt -s expand_aliases\n'
			builtin printf '\n# end %s\n' "$__pyth_on_number"
		}

		# trap is the builtin, except that a trap for EXIT runs after the state is saved.
		trap() {
			builtin local IFS=' '
			# The builtin must be the last command: it may set a trap for RETURN or DEBUG.
			if [[ $BASHPID != "$__pyth_on_pid" || " ${*^^} " != *@( EXIT | SIGEXIT | 0 )* && $# != 0 && $1 != -p ]]; then
				builtin trap "$@"
			else
				builtin local __pyth_on_l=0 __pyth_on_n
				if [[ -n $__pyth_on_exit ]]; then
					builtin trap -- "$__pyth_on_exit" EXIT
				else
					builtin trap - EXIT
				fi
				builtin trap "$@" || __pyth_on_l=$?
				__pyth_on_n=$(builtin trap -p EXIT)
				builtin eval "__pyth_on_n=(${__pyth_on_n#trap})"
				__pyth_on_exit=${__pyth_on_n[1]-}
				__pyth_on_arm
				return "$__pyth_on_l"
			fi
		}

		__pyth_on_arm() {
			# Assignments come first: no function of the program can replace them. The second
			# one starts POSIX mode, in which no function can replace "unset".
			builtin local __pyth_on_n='{ __pyth_on_status=$? __pyth_on_set=$SHELLOPTS POSIXLY_CORRECT=; \unset -f builtin; \unset POSIXLY_CORRECT; __pyth_on_save; } 3>&2 > /dev/null 2>&1'
			[[ -z $__pyth_on_exit ]] || __pyth_on_n+='; \builtin set +e; __pyth_on_last; \builtin eval "$__pyth_on_exit"'
			builtin trap -- "$__pyth_on_n" EXIT
		}
		__pyth_on_last() { return "$__pyth_on_status"; }

		# begin sets the options last, because they would affect the commands above.
		__pyth_on_begin() {
			builtin local IFS=: __pyth_on_l
			builtin set --
			for __pyth_on_l in $SHELLOPTS; do
				[[ $__pyth_on_l == interactive-comments || :$__pyth_on_options: == *":$__pyth_on_l:"* ]] || builtin set -- "$@" +o "$__pyth_on_l"
			done
			for __pyth_on_l in $__pyth_on_options; do
				[[ $__pyth_on_l == privileged || $__pyth_on_l == interactive-comments ]] || builtin set -- "$@" -o "$__pyth_on_l"
			done
			[[ :$__pyth_on_options: == *:errexit:* ]] && __pyth_on_status=0
			__pyth_on_l=$__pyth_on_status
			(($# == 0)) || builtin set "$@"
			return "$__pyth_on_l"
		}
		__pyth_on_arm
		__pyth_on_begin
	} > /dev/null 2>&1
}
