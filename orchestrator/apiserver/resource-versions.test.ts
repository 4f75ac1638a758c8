import { join } from 'node:path'
import { resourceVersionConformance } from '../../test/conformance/resource-versions.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'

resourceVersionConformance('embedded', (folder) => openEmbeddedStore(join(folder, 'store.db')))
