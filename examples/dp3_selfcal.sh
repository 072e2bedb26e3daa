#!/bin/sh
# usage: dp3_selfcal.sh MS SOLINT CALMODE FOLDER THREADS
#
# Translates a round's settings into DP3's. DP3 counts intervals in integrations; the environment variable INTEGRATION is
# the length of one in seconds, and DP3 names the program, e.g. DP3.py of the Python package.
set -eu
integration=${INTEGRATION:-10}
in_integrations() { awk -v s="$1" -v i="$integration" 'BEGIN { n = int(s / i + 0.5); print (n > 1 ? n : 1) }'; }
case $2 in
  inf) steps=0 ;;
  int) steps=1 ;;
  *min) steps=$(in_integrations $(awk -v m="${2%min}" 'BEGIN { print 60 * m }')) ;;
  *) steps=$(in_integrations "${2%s}") ;;
esac
case $3 in
  p) type=diagonalphase ;;
  a) type=diagonalamplitude ;;
  ap) type=diagonal ;;
esac
export OPENBLAS_NUM_THREADS=1
exec "${DP3:-DP3}" "$(dirname "$0")/dp3_selfcal.parset" msin="$1" gaincal.parmdb="$4/solutions.h5" \
    gaincal.caltype=$type gaincal.solint=$steps numthreads="$5"
