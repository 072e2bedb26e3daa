//! Ways in which measurement sets are damaged, as programs in CASA's Python; see `real::python`.

/// Everything is flagged.
pub(crate) const FLAGGED: &str = "
tb.open(ms, nomodify=False)
tb.putcol('FLAG', np.ones_like(tb.getcol('FLAG')))
";
/// All weights are 0.
pub(crate) const WEIGHTLESS: &str = "
tb.open(ms, nomodify=False)
for name in ('WEIGHT', 'WEIGHT_SPECTRUM'):
    if name in tb.colnames() and tb.iscelldefined(name, 0):
        tb.putcol(name, np.zeros_like(tb.getcol(name)))
";
/// A coordinate of one row is NaN.
pub(crate) const UVW_NAN: &str = "
tb.open(ms, nomodify=False)
uvw = tb.getcol('UVW')
uvw[1, 7] = np.nan
tb.putcol('UVW', uvw)
";
/// All unflagged data of the third antenna are NaN.
pub(crate) const ANTENNA_NAN: &str = "
tb.open(ms, nomodify=False)
data = tb.getcol('DATA')
data[..., (tb.getcol('ANTENNA1') == 2) | (tb.getcol('ANTENNA2') == 2)] = np.nan
tb.putcol('DATA', data)
";
/// Only the first three antennas have data.
pub(crate) const THREE_ANTENNAS: &str = "
tb.open(ms, nomodify=False)
flag = tb.getcol('FLAG')
flag[..., (tb.getcol('ANTENNA1') > 2) | (tb.getcol('ANTENNA2') > 2)] = True
tb.putcol('FLAG', flag)
";
/// Only one baseline has data.
pub(crate) const ONE_BASELINE: &str = "
tb.open(ms, nomodify=False)
flag = tb.getcol('FLAG')
flag[..., (tb.getcol('ANTENNA1') != 0) | (tb.getcol('ANTENNA2') != 1)] = True
tb.putcol('FLAG', flag)
";
/// The second half of the rows becomes those of a second field, three degrees away.
pub(crate) const TWO_FIELDS: &str = "
tb.open(ms + '/FIELD', nomodify=False)
tb.copyrows(ms + '/FIELD', nrow=1)
names = tb.getcol('NAME')
names[1] = 'second'
tb.putcol('NAME', names)
for name in ('PHASE_DIR', 'DELAY_DIR', 'REFERENCE_DIR'):
    centre = tb.getcell(name, 0)
    centre[1] += np.deg2rad(3)
    tb.putcell(name, 1, centre)
tb.close()
tb.open(ms, nomodify=False)
field = tb.getcol('FIELD_ID')
field[field.size // 2:] = 1
tb.putcol('FIELD_ID', field)
";
/// What follows [`TWO_FIELDS`]: the first field is flagged.
pub(crate) const FIRST_FIELD_FLAGGED: &str = "
flag = tb.getcol('FLAG')
flag[..., field == 0] = True
tb.putcol('FLAG', flag)
";
/// Everything in the second spectral window is flagged.
pub(crate) const SECOND_WINDOW_FLAGGED: &str = "
tb.open(ms, nomodify=False)
for row in np.flatnonzero(tb.getcol('DATA_DESC_ID') == 1).tolist():
    tb.putcell('FLAG', row, np.ones_like(tb.getcell('FLAG', row)))
";
/// Subtables are gone.
pub(crate) const WITHOUT_SUBTABLES: &str = "
import shutil
tb.open(ms, nomodify=False)
for name in ('POINTING', 'STATE'):
    tb.removekeyword(name)
    shutil.rmtree(ms + '/' + name)
";
/// A storage manager that no CASA has; its name is as long as that of the one it stands for.
pub(crate) const DYSCO: &str = "
text = open(ms + '/table.dat', 'rb').read()
open(ms + '/table.dat', 'wb').write(text.replace(b'TiledShapeStMan', b'TiledDyscoStMan'))
";
/// The file of DATA is cut off.
pub(crate) const CUT_OFF: &str = "
import os
tb.open(ms)
number = next(m['SEQNR'] for m in tb.getdminfo().values() if 'DATA' in m['COLUMNS'])
tb.close()
file = next(f'{ms}/table.f{number}{end}' for end in ('_TSM1', '_TSM0') if os.path.exists(f'{ms}/table.f{number}{end}'))
os.truncate(file, os.path.getsize(file) // 3)
";
/// There are no rows.
pub(crate) const NO_ROWS: &str = "
import shutil
tb.open(ms)
tb.copy(ms + '.empty', deep=True, valuecopy=True, norows=True).close()
tb.close()
shutil.rmtree(ms)
shutil.move(ms + '.empty', ms)
";
/// INTERVAL is that of the raw data.
pub(crate) const SHORT_INTERVAL: &str = "
tb.open(ms, nomodify=False)
tb.putcol('INTERVAL', np.full(tb.nrows(), 0.04))
";
/// A spectral window that no data description names.
pub(crate) const UNDESCRIBED_WINDOW: &str = "
tb.open(ms + '/SPECTRAL_WINDOW', nomodify=False)
tb.copyrows(ms + '/SPECTRAL_WINDOW', nrow=1)
";
/// Names of antennas are numbers of their neighbours.
pub(crate) const NUMBER_NAMES: &str = "
tb.open(ms + '/ANTENNA', nomodify=False)
tb.putcol('NAME', np.array([str(k + 1) for k in range(tb.nrows())]))
";
/// Channels go from the highest frequency to the lowest.
pub(crate) const DESCENDING: &str = "
tb.open(ms + '/SPECTRAL_WINDOW', nomodify=False)
for name in ('CHAN_FREQ', 'CHAN_WIDTH', 'EFFECTIVE_BW', 'RESOLUTION'):
    values = tb.getcol(name)[::-1]
    tb.putcol(name, -values if name == 'CHAN_WIDTH' else values)
tb.close()
tb.open(ms, nomodify=False)
for name in ('DATA', 'FLAG', 'WEIGHT_SPECTRUM'):
    if name in tb.colnames() and tb.iscelldefined(name, 0):
        tb.putcol(name, tb.getcol(name)[:, ::-1])
";
/// A cell has fewer channels than the others of its window, as after averaging by baseline.
pub(crate) const SEVERAL_SHAPES: &str = "
tb.open(ms, nomodify=False)
for name, kind in (('DATA', 'complex'), ('FLAG', 'boolean')):
    cells = [tb.getcell(name, row) for row in range(tb.nrows())]
    tb.removecols([name])
    manager = {'TYPE': 'StandardStMan', 'NAME': 'Of' + name, 'SPEC': {}, 'COLUMNS': np.array([name])}
    tb.addcols({name: {'valueType': kind, 'ndim': 2, 'option': 0, 'maxlen': 0, 'comment': ''}}, {name: manager})
    for row, cell in enumerate(cells):
        tb.putcell(name, row, cell[:, ::2] if row == 3 else cell)
";
/// One correlation, the second parallel hand, is left.
pub(crate) const ONE_CORRELATION: &str = "
import shutil
from casatasks import mstransform
mstransform(vis=ms, outputvis=ms + '.one', datacolumn='data', correlation='LL')
shutil.rmtree(ms)
shutil.move(ms + '.one', ms)
";
